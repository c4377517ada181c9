import { describe, expect, it } from 'vitest';
import { issueLines, nearest } from '../../contracts/issues.ts';
import { pipelineKeys } from '../../contracts/spec/json-schema.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { smallSpec } from '../support/samples.ts';

/** The lines about a spec that differs from a good one. */
function linesOf(change: Record<string, unknown>): string[] {
  const spec = { ...smallSpec(), ...change };
  const { error } = pipelineSpec.safeParse(spec);
  return error ? issueLines(error, spec, pipelineKeys) : [];
}

describe('the nearest word', () => {
  it.each([
    ['colums', 'columns'],
    ['TARGET', 'target'],
    ['lightgbn', 'lightgbm'],
    ['taget', 'target'],
  ])('to %s is %s', (word, meant) => {
    expect(nearest(word, ['columns', 'target', 'data', 'lightgbm'])).toBe(meant);
  });

  it.each(['', 'completely different', 'x'.repeat(100_000)])('to "%s" is none', (word) => {
    expect(nearest(word.slice(0, 100_000), ['columns', 'lightgbm'])).toBeUndefined();
  });

  it('is not looked for where the word is longer than any of ours', () => {
    expect(nearest(`${'a'.repeat(64)}b`, ['a'.repeat(64)])).toBeUndefined();
  });

  it('is the first of equally near ones', () => {
    expect(nearest('bat', ['cat', 'hat'])).toBe('cat');
  });
});

describe('what is wrong with a spec', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['an unknown key', { colums: {} }, 'colums: is not a known key; did you mean "columns"?'],
    [
      'an unknown key inside',
      { columns: { target: 'y', positve: 'x' } },
      'columns.positve: is not a known key; did you mean "positive"?',
    ],
    ['a missing part', { data: undefined }, 'data: is missing; expected object'],
    [
      'a wrong word',
      { task: 'binry' },
      'task: must be one of binary, multiclass, regression; did you mean "binary"?',
    ],
    ['a wrong type', { columns: { target: 7 } }, 'columns.target: expected string, found number'],
    ['null', { columns: null }, 'columns: expected object, found nothing (null)'],
    ['a list', { columns: [] }, 'columns: expected object, found a list'],
    ['not a number', { training: { seed: Number.NaN } }, 'training.seed: expected number, found NaN'],
    [
      'a name of a trainer',
      { candidates: ['lightgbn'] },
      'knn, logistic, linear, mlp, tfjs_linear; did you mean "lightgbm"?',
    ],
    [
      'a trainer inside',
      { candidates: ['mlp', { trainer: 'logistc' }] },
      'tfjs_linear, command, activity; did you mean "logistic"?',
    ],
    [
      'a parameter beside parameters',
      { candidates: [{ trainer: 'mlp', max_iterations: 3 }] },
      'candidates[0].max_iterations: is not a known key; did you mean "maxIterations"?',
    ],
    [
      'a duration',
      { approval: { timeout: 'soon' } },
      'approval.timeout: a duration such as 30s, 10m, 2h or 7d',
    ],
    [
      'a gate of another task',
      { evaluation: { gates: [{ metric: 'r2', min: 0.1 }] } },
      'evaluation.gates[0].metric: r2 does not fit task binary; use one of roc_auc, ',
    ],
    [
      'a gate that asks nothing',
      { evaluation: { gates: [{ metric: 'f1' }] } },
      'evaluation.gates[0]: one of min, max, betterThan, maxGap',
    ],
    [
      'a time split without a time',
      { split: { method: 'time', train: { before: '2020-01-01' }, validation: { before: '2020-02-01' } } },
      'columns.timestamp: split.method time needs the timestamp column',
    ],
    [
      'two sources without SQL',
      { data: { sources: { a: 'a.csv', b: 'b.csv' } } },
      'data.sql: with several sources, sql says how they are joined',
    ],
    [
      'two candidates of one name',
      { candidates: ['mlp', 'mlp'] },
      'candidates: two candidates have the same name; give each a name of its own',
    ],
  ])('%s', (_, change, line) => {
    expect(linesOf(change)).toEqual([expect.stringContaining(line)]);
  });

  it('is told of a good spec in no line', () => {
    expect(linesOf({})).toEqual([]);
  });

  it('never repeats a value: it may be a secret or a person', () => {
    const secret = 'hunter2-hunter2';
    for (const change of [
      { task: secret },
      { columns: { target: 1, entity: { secret } } },
      { name: secret.toUpperCase() },
      { approval: { timeout: secret } },
    ])
      expect(linesOf(change).join()).not.toMatch(/hunter2-/i);
  });

  it('is told of ten things at the most, and the rest counted', () => {
    const lines = linesOf({ candidates: Array.from({ length: 40 }, () => ({ trainer: 'none' })) });
    expect(lines).toHaveLength(11);
    expect(lines.at(-1)).toBe('and 30 more');
  });

  it('cuts keys that nobody would read', () => {
    const [line] = linesOf({ ['k'.repeat(100_000)]: 1 });
    expect(line).toBe(`${'k'.repeat(64)}…: is not a known key`);
  });
});
