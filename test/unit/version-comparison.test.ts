import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { comparisonText, fitted } from '../../client/comparison-text.ts';
import type { TracedVersion } from '../../client/model-versions.ts';
import { compareVersions, differing } from '../../client/version-comparison.ts';
import type { ModelLineage } from '../../contracts/lineage.ts';
import { modelLineage } from '../../contracts/lineage.ts';
import { lineage } from '../support/lineage-samples.ts';
import { artifact } from '../support/samples.ts';

const traced = (version: string, of: ModelLineage): TracedVersion => ({
  name: 'churn',
  version,
  aliases: version === '2' ? ['champion'] : [],
  outcome: 'deployed',
  lineage: of,
});

/** The sample version with another seed, fewer trees, a worse score and other test rows. */
function other(): ModelLineage {
  const one = lineage({
    training: { seed: 7, budget: { trials: 2 } },
    data: { sources: { customers: 'customers.csv' }, sql: 'SELECT *\nFROM customers\nWHERE age > 18' },
  });
  const { split } = one.data;
  return {
    ...one,
    data: { ...one.data, split: { ...split, test: { artifact: artifact('other test'), rows: 150 } } },
    training: { ...one.training, parameters: { ...one.training.parameters, num_leaves: 15 } },
    evaluation: {
      ...one.evaluation,
      test: { ...one.evaluation.test, roc_auc: 0.85 },
      gates: one.evaluation.gates.map((gate) => ({ ...gate, passed: false, verdict: 'undecided' as const })),
    },
  };
}

describe('two versions side by side', () => {
  const found = compareVersions(traced('1', lineage()), traced('2', other()));

  it('tell what differs, and only that', () => {
    expect(found.spec).toEqual([
      {
        what: 'data.sql',
        a: 'SELECT *\nFROM customers\nWHERE age > 0',
        b: 'SELECT *\nFROM customers\nWHERE age > 18',
      },
      { what: 'training.seed', a: 42, b: 7 },
    ]);
    expect(found.data.map(({ what }) => what)).toEqual(['sql', 'split.test.rows', 'split.test.digest']);
    expect(found.training).toEqual([
      { what: 'seed', a: 42, b: 7 },
      { what: 'parameters.num_leaves', a: 31, b: 15 },
    ]);
    expect([found.features, found.environment]).toEqual([[], []]);
  });

  it('have all metrics with differences and intervals, the one that decides first', () => {
    expect(found.metrics[0]).toMatchObject({
      split: 'test',
      name: 'roc_auc',
      a: 0.9,
      b: 0.85,
      intervalA: { low: 0.88, high: 0.92 },
    });
    expect(found.metrics[0]?.difference).toBeCloseTo(-0.05, 12);
    expect(found.metrics.filter(({ split }) => split === 'validation').map(({ name }) => name)).toEqual([
      'roc_auc',
      'log_loss',
    ]);
  });

  it('a metric that one of them lacks has no difference', () => {
    const less = lineage();
    const { log_loss: _, ...test } = less.evaluation.test;
    const metric = compareVersions(
      traced('1', lineage()),
      traced('2', { ...less, evaluation: { ...less.evaluation, test } }),
    ).metrics.find(({ split, name }) => split === 'test' && name === 'log_loss');
    expect(metric).toMatchObject({ a: 0.32, b: null, difference: null });
  });

  it.each([80, 120])('fit into %d columns', (width) => {
    const text = stripVTControlCharacters(comparisonText(found, width));
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
    expect(text).toContain('The test rows are not the same');
    expect(text).toMatch(/\nTEST +VERSION 1 .*\nroc_auc +0\.9 \[0\.88, 0\.92\] +0\.85/);
    expect(text).toMatch(width < 100 ? /−0\.05$/m : /−0\.05 worse$/m);
    expect(text).toMatch(/data\.sql +line 3: WHERE age > 0 +line 3: WHERE age > 18/);
    expect(text).toContain('the same: features, environment');
  });

  it('tell what became of each gate, of files without a verdict whether it passed', () => {
    const old = lineage();
    const gates = old.evaluation.gates.map(({ verdict: _, required: __, interval: ___, ...gate }) => gate);
    const older = modelLineage.parse({ ...old, evaluation: { ...old.evaluation, gates } });
    const text = comparisonText(compareVersions(traced('1', older), traced('2', other())), 160);
    expect(stripVTControlCharacters(text)).toMatch(/^roc_auc .* passed, 0\.9 +undecided, 0\.9$/m);
    expect(modelLineage.parse(lineage()).evaluation.gates[0]).toMatchObject({
      verdict: 'passed',
      required: expect.stringContaining('>='),
      interval: null,
    });
  });

  it('one version with itself', () => {
    const same = compareVersions(traced('1', lineage()), traced('1', lineage()));
    expect([same.spec, same.data, same.training, same.environment].flat()).toEqual([]);
    expect(stripVTControlCharacters(comparisonText(same, 80))).toContain(
      'This is one version: nothing differs.',
    );
  });
});

describe('what differs between two values', () => {
  it.each([
    [{ a: 1 }, { a: 1 }, []],
    [{ a: { b: [1, 2] } }, { a: { b: [1, 3] } }, [{ what: 'a.b[1]', a: 2, b: 3 }]],
    [{ a: true }, {}, [{ what: 'a', a: true, b: null }]],
    [
      [
        { name: 'x', v: 1 },
        { name: 'y', v: 2 },
      ],
      [
        { name: 'y', v: 3 },
        { name: 'x', v: 1 },
      ],
      [{ what: '[y].v', a: 2, b: 3 }],
    ],
  ])('%j and %j', (a, b, expected) => {
    expect(differing(a, b)).toEqual(expected);
  });
});

it('columns give way to each other, and no cell disappears', () => {
  const rows = [
    ['A', 'B'],
    ['x'.repeat(50), 'y'.repeat(30)],
  ];
  expect(fitted(rows, 40).split('\n')[1]).toBe(`${'x'.repeat(18)}…  ${'y'.repeat(18)}…`);
  expect(fitted(rows, Number.POSITIVE_INFINITY)).toContain('x'.repeat(50));
});
