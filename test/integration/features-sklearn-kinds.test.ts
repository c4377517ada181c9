import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { datePart, featurePreset } from '../../contracts/spec/features.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { PRESETS } from '../../lib/features/presets.ts';
import { type Column, type LearnOptions, learnColumns } from '../support/feature-columns.ts';
import { type Cell, matrixOf } from '../support/feature-tables.ts';
import { compare, Sklearn } from '../support/sklearn.ts';

let connection: DuckDBConnection;
let sklearn: Sklearn;
beforeAll(async () => {
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  // Parts of dates are those in UTC, wherever the session is.
  await connection.run("SET TimeZone = 'America/New_York'");
  sklearn = new Sklearn();
});
afterAll(() => {
  sklearn.close();
  connection.closeSync();
});

const RUNS = { numRuns: 40, seed: 20_240_918 };

/** Compares the matrix of the scoring rows; bins of their own columns by their places. */
async function agree(columns: readonly Column[], more: LearnOptions = {}): Promise<void> {
  const { plan } = await learnColumns(connection, columns, more);
  const places = new Map<string, number>();
  const matrix = plan.matrix.map((column) => {
    const { name, source } = column;
    if (!/^[-\d.e+]+ ≤ | < [-\d.e+]+$/.test(name)) return column;
    const place = places.get(source) ?? 0;
    places.set(source, place + 1);
    return { ...column, name: `${source} (bin ${place})` };
  });
  const found = [...(await matrixOf(connection, 'scoring', plan, preprocessGraph(plan))).values()];
  compare(
    { ...plan, matrix },
    new Map(matrix.map(({ name }, index) => [name, found[index] ?? []])),
    await sklearn.ask({ columns }),
  );
}

const number = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -1000, max: 1000, noNaN: true }) },
  { weight: 2, arbitrary: fc.constantFrom<Cell[]>(null, 'inf', '-inf', 1e300) },
);
const flag = fc.constantFrom(true, true, false, null);
const FIRST = -62_135_596_800;
const LAST = 253_402_300_799;
const moment = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1_300_000_000, max: 1_700_000_000 }) },
  { weight: 3, arbitrary: fc.integer({ min: FIRST, max: LAST }) },
  {
    weight: 3,
    // The ends of what counts as a date and beyond, the epoch, leap days of 2000 and 1900, fractions before the epoch.
    arbitrary: fc.constantFrom<Cell[]>(
      ...[null, 'inf', '-inf', FIRST, FIRST - 1, LAST, LAST + 1, 0, -1],
      ...[951_782_400, -2_203_891_200, -0.25, 0.75],
    ),
  },
);
const list = <T>(item: fc.Arbitrary<T>, minLength: number) => fc.array(item, { minLength, maxLength: 60 });

describe('the matrix agrees with scikit-learn and pandas to 1e-6', () => {
  it('indicators of missing numbers, whatever replaces them', () =>
    fc.assert(
      fc.asyncProperty(
        list(number, 3),
        list(number, 1),
        fc.constantFrom('median', 'mean', 'constant', 'none'),
        (training, scoring, impute) =>
          agree([
            {
              ...{ name: 'x', kind: 'numeric' as const, training: [...training, 0, 1.5], scoring },
              options: { impute, constant: -1, scale: 'none', log: false, missingIndicator: true },
            },
          ]),
      ),
      RUNS,
    ));

  it('quantile bins, a column for each', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: -1e6, max: 1e6 }), { minLength: 60, maxLength: 120 }),
        list(fc.double({ min: -2e6, max: 2e6, noNaN: true }), 1),
        fc.integer({ min: 2, max: 12 }),
        (training, scoring, bins) =>
          agree([
            {
              ...{ name: 'x', kind: 'numeric' as const, training, scoring },
              options: { bins, binEncoding: 'onehot', missingIndicator: false },
            },
          ]),
      ),
      RUNS,
    ));

  it('booleans', () =>
    fc.assert(
      fc.asyncProperty(list(flag, 1), list(flag, 1), (training, scoring) =>
        agree([{ name: 'b', kind: 'boolean', options: {}, training: [...training, true, false], scoring }]),
      ),
      RUNS,
    ));

  it('parts of dates, plain and cyclic, from the year 1 to 9999', () =>
    fc.assert(
      fc.asyncProperty(
        list(moment, 3),
        list(moment, 1),
        fc.record({
          parts: fc.subarray([...datePart.options], { minLength: 1 }),
          cyclic: fc.boolean(),
          scale: fc.constantFrom('standard', 'robust', 'minmax', 'none'),
          impute: fc.constantFrom('median', 'none'),
          missingIndicator: fc.boolean(),
        }),
        (training, scoring, options) =>
          agree([{ name: 'd', kind: 'datetime', options, training: [...training, 0, 1e9], scoring }]),
      ),
      RUNS,
    ));

  it('a bucket for all but the most frequent categories', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 8 }),
        fc.integer({ min: 1, max: 9 }),
        list(fc.constantFrom('w0', 'w3', 'w7', 'never seen', '', null), 1),
        (variety, maxCategories, scoring) => {
          // Each is there once more than the next: none is as frequent as another.
          const training = Array.from({ length: variety }, (_, i) =>
            Array<Cell>(variety - i).fill(`w${i}`),
          ).flat();
          const options = { encoding: 'onehot', minFrequency: 1, maxCategories };
          return agree([{ name: 'c', kind: 'categorical', options, training, scoring }]);
        },
      ),
      RUNS,
    ));

  it.each(featurePreset.options)('what holds where a spec says nothing: %s', (preset) =>
    fc.assert(
      fc.asyncProperty(
        list(fc.tuple(number, flag, moment), 3),
        list(fc.tuple(number, flag, moment), 1),
        (rows, others) => {
          const known: [Cell, Cell, Cell][] = [[0, true, 0], [1.5, false, 1e9], [null, null, null], ...rows];
          const cells = (at: 0 | 1 | 2) => ({
            training: known.map((row) => row[at]),
            scoring: others.map((row) => row[at]),
          });
          const { numeric, datetime } = PRESETS[preset];
          const said: Column[] = [
            { name: 'x', kind: 'numeric', options: { ...numeric }, ...cells(0) },
            { name: 'd', kind: 'datetime', options: { ...datetime }, ...cells(2) },
          ];
          return agreeUnsaid(said, preset);
        },
      ),
      RUNS,
    ),
  );
});

/** The graph is fitted with no settings at all, the reference is told those of the preset. */
async function agreeUnsaid(columns: readonly Column[], preset: 'tree' | 'linear'): Promise<void> {
  const unsaid = columns.map((column) => ({ ...column, options: {} }));
  const { plan } = await learnColumns(connection, unsaid, { preset });
  const found = await matrixOf(connection, 'scoring', plan, preprocessGraph(plan));
  compare(plan, found, await sklearn.ask({ columns }));
}
