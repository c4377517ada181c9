import { describe, expect, it } from 'vitest';
import { issueLines } from '../../contracts/issues.ts';
import { pipelineKeys } from '../../contracts/spec/json-schema.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { columnProblem } from '../../domain/evaluation-columns.ts';
import { askedPerturbations, boundConfidences, sliceMetrics } from '../../domain/evaluation-needs.ts';
import { smallSpec } from '../support/samples.ts';

const whole = (evaluation: unknown, rest: object = {}) => ({ ...smallSpec(), ...rest, evaluation });
const issues = (evaluation: unknown, rest: object = {}): string => {
  const value = whole(evaluation, rest);
  const { error } = pipelineSpec.safeParse(value);
  return error ? issueLines(error, value, pipelineKeys).join('\n') : '';
};

describe('the evaluation of a spec', () => {
  it.each([
    ['another task', { gates: [{ metric: 'r2', min: 0 }] }, 'r2 does not fit task binary'],
    [
      'a perturbation of another task',
      { gates: [{ robustness: 'missing', metric: 'r2', maxLoss: 0 }] },
      'r2 does not fit task binary',
    ],
    [
      'groups that nobody declared',
      { gates: [{ fairness: 'demographic_parity_difference', max: 0.1 }] },
      'needs evaluation.fairness',
    ],
    [
      'groups of another column',
      {
        fairness: { columns: ['sex'] },
        gates: [{ fairness: 'accuracy_difference', max: 0.1, column: 'age' }],
      },
      'is none of evaluation.fairness.columns: sex',
    ],
    [
      'slices that nobody declared',
      { gates: [{ metric: 'roc_auc', min: 0, slices: 'declared' }] },
      'needs evaluation.slices',
    ],
    [
      'a search that is off',
      { worstSlices: false, gates: [{ metric: 'roc_auc', min: 0, slices: 'worst' }] },
      'needs evaluation.worstSlices',
    ],
    [
      'a bootstrap that is off',
      { resamples: 0, gates: [{ metric: 'roc_auc', min: 0, confidence: 0.9 }] },
      '0 samples of the bootstrap cannot tell such a bound: set evaluation.resamples to at least 50,',
    ],
    [
      'a bound that too few samples lie beyond',
      { resamples: 4_999, gates: [{ metric: 'roc_auc', min: 0, confidence: 0.999 }] },
      'set evaluation.resamples to at least 5000,',
    ],
    ['a slip of the pen', { gates: [{ metric: 'roc_auc', mn: 0 }] }, 'did you mean "min"'],
    [
      'a slip in a measure',
      { gates: [{ fairnes: 'accuracy_difference', max: 0.1 }] },
      'did you mean "fairness"',
    ],
    ['a slip in a slice', { slices: [{ colums: ['region'] }] }, 'did you mean "columns"'],
    ['edges that fall', { slices: [{ columns: ['age'], bins: [30, 18] }] }, 'edges ascend'],
    ['slices of the target', { slices: [{ columns: [smallSpec().columns.target] }] }, 'is the target'],
  ])('that asks for %s is refused with words that help', (_, evaluation, message) => {
    expect(issues(evaluation)).toContain(message);
  });

  it('refuses parity for what has no positive answer', () => {
    const fairness = { columns: ['sex'] };
    const gates = [{ fairness: 'equalized_odds_difference', max: 0.1 }];
    for (const task of ['multiclass', 'regression'])
      expect(issues({ fairness, gates }, { task })).toContain(`does not fit task ${task}`);
  });

  it('says what has to be measured', () => {
    const { evaluation } = pipelineSpec.parse(
      whole({
        slices: [{ columns: ['region'] }],
        gates: [
          { metric: 'f1', min: 0.5, slices: 'all' },
          { metric: 'recall', min: 0.5, confidence: 0.9 },
          { metric: 'roc_auc', betterThan: 'champion', margin: 0.01, confidence: 0.95 },
          { robustness: 'missing', metric: 'f1', maxLoss: 0.1 },
          { robustness: 'missing', metric: 'recall', maxLoss: 0.1, feature: 'age' },
          { robustness: 'shift', metric: 'f1', maxLoss: 0.1, feature: 'age', by: 2 },
        ],
      }),
    );
    expect(sliceMetrics(evaluation)).toEqual(['roc_auc', 'f1']);
    expect(boundConfidences(evaluation.gates, 'test')).toEqual([0.9]);
    expect(boundConfidences(evaluation.gates, 'champion')).toEqual([0.95]);
    expect(boundConfidences(evaluation.gates, 'baseline')).toEqual([]);
    expect(askedPerturbations(evaluation.gates)).toEqual([
      { robustness: 'missing', by: 0, metrics: ['f1', 'recall'], features: 'all' },
      { robustness: 'shift', by: 2, metrics: ['f1'], features: ['age'] },
    ]);
  });
});

describe('columns of slices and groups', () => {
  const { evaluation } = pipelineSpec.parse(
    whole({
      slices: [{ name: 'n', where: 'x > 1' }, { columns: ['region', 'sex'] }],
      fairness: { columns: ['age'] },
      gates: [
        { robustness: 'missing', metric: 'f1', maxLoss: 0.1 },
        { robustness: 'missing', metric: 'f1', maxLoss: 0.1, feature: 'plan' },
      ],
    }),
  );
  it.each([
    ['all there', ['region', 'sex', 'age', 'plan'], [], undefined],
    [
      'misspelt',
      ['regions', 'sex', 'age'],
      [],
      'evaluation.slices[1].columns: there is no column region; did you mean regions?',
    ],
    ['dropped as personal', ['region', 'age'], ['sex'], 'sex is personal and is dropped before training'],
    [
      'of a gate',
      ['region', 'sex', 'age', 'plans'],
      [],
      'evaluation.gates[1].feature: there is no column plan; did you mean plans?',
    ],
    ['of groups', ['region', 'sex'], [], 'evaluation.fairness.columns: there is no column age'],
  ])('%s', (_, columns, dropped, message) => {
    const problem = columnProblem(evaluation, columns, dropped);
    if (message === undefined) expect(problem).toBeUndefined();
    else expect(problem).toContain(message);
  });
});
