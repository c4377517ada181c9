import type { EvaluationSpec } from './evaluation.ts';
import { carriesBound, type Gate, type MetricGate, samplesFor } from './gates.ts';
import { FAIRNESS_MEASURES, METRICS } from './metrics.ts';
import type { Task } from './task.ts';

/** What the evaluation of a spec must fit. */
interface Whole {
  task: Task;
  columns: { target: string };
  evaluation: EvaluationSpec;
}

interface Issue {
  path: PropertyKey[];
  message: string;
}

const isOfMetric = (gate: Gate): gate is MetricGate => 'metric' in gate && !('robustness' in gate);

/** What does not go together in `evaluation`, each with the remedy. */
export function evaluationIssues({ task, columns, evaluation }: Whole): Issue[] {
  const { metric, quantile, resamples, slices, worstSlices, fairness, gates = [] } = evaluation;
  const issues: Issue[] = [];
  const issue = (path: PropertyKey[], message: string): void => {
    issues.push({ path: ['evaluation', ...path], message });
  };
  const fits = (word: string, allowed: readonly string[], path: PropertyKey[]): void => {
    if (!allowed.includes(word))
      issue(path, `${word} does not fit task ${task}; use one of ${allowed.join(', ')}`);
  };
  if (metric) fits(metric, METRICS[task], ['metric']);
  if (metric === 'mean_pinball_loss' && quantile !== 0.5)
    issue(
      ['metric'],
      'candidates are compared at the median; choose another metric, and judge the quantile by a gate',
    );
  for (const [index, { columns: of }] of slices.flatMap((one, i) =>
    'columns' in one ? [[i, one] as const] : [],
  ))
    if (of.includes(columns.target))
      issue(
        ['slices', index, 'columns'],
        `${columns.target} is the target; slices are of what is known before it`,
      );
  if (fairness?.columns.includes(columns.target))
    issue(['fairness', 'columns'], `${columns.target} is the target; groups are of what is known before it`);
  for (const [index, gate] of gates.entries()) {
    const at = (...path: PropertyKey[]): PropertyKey[] => ['gates', index, ...path];
    if ('metric' in gate) fits(gate.metric, METRICS[task], at('metric'));
    if ('fairness' in gate) {
      fits(gate.fairness, FAIRNESS_MEASURES[task], at('fairness'));
      if (!fairness)
        issue(at('fairness'), 'needs evaluation.fairness: the columns whose groups are compared');
      else if (gate.column !== undefined && !fairness.columns.includes(gate.column))
        issue(at('column'), `is none of evaluation.fairness.columns: ${fairness.columns.join(', ')}`);
    }
    if (!isOfMetric(gate)) continue;
    if (gate.confidence !== undefined && !carriesBound(resamples, gate.confidence))
      issue(
        at('confidence'),
        `${resamples} samples of the bootstrap cannot tell such a bound: set evaluation.resamples to at least ${samplesFor(gate.confidence)}, or lower the confidence`,
      );
    if ((gate.slices === 'declared' || gate.slices === 'all') && slices.length === 0)
      issue(at('slices'), `${gate.slices} needs evaluation.slices`);
    if ((gate.slices === 'worst' || gate.slices === 'all') && worstSlices === false)
      issue(at('slices'), `${gate.slices} needs evaluation.worstSlices`);
  }
  return issues;
}
