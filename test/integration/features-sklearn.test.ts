import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { foldSql } from '../../lib/duckdb/row-place.ts';
import type { FittedFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { type Column, type LearnOptions, learnColumns } from '../support/feature-columns.ts';
import { type Cell, matrixOf } from '../support/feature-tables.ts';
import { compare, Sklearn } from '../support/sklearn.ts';

let connection: DuckDBConnection;
let sklearn: Sklearn;

beforeAll(async () => {
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  sklearn = new Sklearn();
});
afterAll(() => {
  sklearn.close();
  connection.closeSync();
});

const RUNS = { numRuns: 40, seed: 20_240_917 };

const learn = (columns: readonly Column[], more: LearnOptions = {}): Promise<FittedFeatures> =>
  learnColumns(connection, columns, more);

const number = fc.oneof(
  { weight: 6, arbitrary: fc.double({ min: -1000, max: 1000, noNaN: true }) },
  { weight: 3, arbitrary: fc.integer({ min: -5, max: 5 }) },
  { weight: 1, arbitrary: fc.constantFrom<Cell[]>(null, null, 'inf', '-inf', 1e300, 1e6) },
);
const numbers = (minLength: number) => fc.array(number, { minLength, maxLength: 80 });
const word = fc.constantFrom('a', 'b', 'c', 'A', 'ä', '日本', "O'Neil", 'a b', ' ', '🙂', 'w1', 'w2', 'w3');
const category = fc.oneof(
  { weight: 8, arbitrary: word },
  { weight: 2, arbitrary: fc.constantFrom(null, '', 'None', 'nan') },
);
/** At least two categories that are frequent, so that there is something to be learned. */
const categories = fc
  .array(category, { maxLength: 60 })
  .map((cells): Cell[] => ['a', 'a', 'a', 'a', 'b', 'b', 'b', 'c', ...cells]);
const unseen = fc.array(fc.oneof(category, fc.constantFrom('never seen', 'B')), {
  minLength: 1,
  maxLength: 20,
});

describe('the matrix agrees with scikit-learn to 1e-6', () => {
  it('numbers: imputed, clipped, logarithms, scaled', () =>
    fc.assert(
      fc.asyncProperty(
        numbers(3),
        numbers(1),
        fc.record({
          impute: fc.constantFrom('median', 'mean', 'zero', 'constant', 'none'),
          scale: fc.constantFrom('standard', 'robust', 'minmax', 'none'),
          log: fc.boolean(),
          clip: fc.constantFrom(undefined, [0.05, 0.9], [0.25, 1]),
        }),
        async (training, scoring, { clip, ...rest }) => {
          const options = { ...rest, constant: 7.25, missingIndicator: false, ...(clip ? { clip } : {}) };
          const column: Column = {
            name: 'x',
            kind: 'numeric',
            options,
            training: [...training, 0, 1.5],
            scoring,
          };
          const { plan } = await learn([column]);
          compare(
            plan,
            await matrixOf(connection, 'scoring', plan, preprocessGraph(plan)),
            await sklearn.ask({ columns: [column] }),
          );
        },
      ),
      RUNS,
    ));

  it('quantile bins', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: -1e6, max: 1e6 }), { minLength: 60, maxLength: 120 }),
        fc.array(fc.double({ min: -2e6, max: 2e6, noNaN: true }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 2, max: 12 }),
        async (training, scoring, bins) => {
          const options = { bins, binEncoding: 'ordinal', missingIndicator: false };
          const column: Column = { name: 'x', kind: 'numeric', options, training, scoring };
          const { plan } = await learn([column]);
          compare(
            plan,
            await matrixOf(connection, 'scoring', plan, preprocessGraph(plan)),
            await sklearn.ask({ columns: [column] }),
          );
        },
      ),
      RUNS,
    ));

  it('categories: one-hot with a rare bucket, ordinal, frequency', () =>
    fc.assert(
      fc.asyncProperty(
        categories,
        unseen,
        fc.constantFrom('onehot', 'ordinal', 'frequency'),
        fc.integer({ min: 1, max: 3 }),
        async (training, scoring, encoding, minFrequency) => {
          const rare = encoding === 'onehot' ? minFrequency : 1;
          const options = { encoding, minFrequency: rare, maxCategories: 1000 };
          const column: Column = { name: 'c', kind: 'categorical', options, training, scoring };
          const { plan } = await learn([column]);
          compare(
            plan,
            await matrixOf(connection, 'scoring', plan, preprocessGraph(plan)),
            await sklearn.ask({ columns: [column] }),
          );
        },
      ),
      RUNS,
    ));

  it.each(['regression', 'binary', 'multiclass'] as const)('categories by the target: %s', (task) =>
    fc.assert(
      fc.asyncProperty(
        categories,
        unseen,
        fc.infiniteStream(fc.integer({ min: 0, max: 1000 })),
        fc.constantFrom(0, 1, 20),
        async (training, scoring, chance, smoothing) => {
          const classNames = { regression: [], binary: ['no', 'yes'], multiclass: ['p', 'q', 'r'] }[task];
          const cells = training.map((_, row): Cell => {
            const drawn = row < 3 ? row : chance.next().value;
            return task === 'regression' ? drawn / 8 + 0.125 : (classNames[drawn % classNames.length] ?? '');
          });
          const options = { encoding: 'target', smoothing };
          const column: Column = { name: 'c', kind: 'categorical', options, training, scoring };
          const { plan } = await learn([column], { target: { task, cells, classNames } });
          const target = task === 'regression' ? cells.map((y) => Number(y) + 1e-9) : cells;
          compare(
            plan,
            await matrixOf(connection, 'scoring', plan, preprocessGraph(plan)),
            await sklearn.ask({ columns: [column], target }),
          );
        },
      ),
      RUNS,
    ),
  );

  it('the training matrix is encoded out of fold', () =>
    fc.assert(
      fc.asyncProperty(
        categories,
        fc.infiniteStream(fc.integer({ min: 0, max: 1000 })),
        fc.constantFrom(1, 20),
        async (first, chance, smoothing) => {
          const training = [...first, ...first];
          const cells = training.map((): Cell => chance.next().value / 8 + 0.0625);
          const options = { encoding: 'target', smoothing };
          const column: Column = { name: 'c', kind: 'categorical', options, training, scoring: ['a'] };
          const { plan, folds } = await learn([column], {
            target: { task: 'regression', cells, classNames: [] },
          });
          expect(folds?.folds).toBe(5);
          const reader = await connection.runAndReadAll(
            `SELECT ${foldSql(['id'], 'fold', 5)} FROM training ORDER BY id`,
          );
          const places = reader.getRowsJS().map(([fold]) => Number(fold));
          compare(
            plan,
            await matrixOf(connection, 'training', plan, preprocessGraph(plan, folds), places),
            await sklearn.ask({ columns: [column], target: cells, folds: places }),
          );
        },
      ),
      RUNS,
    ));

  it('texts: TF-IDF of words and pairs', () => {
    const token = fc.constantFrom(
      'the',
      'The',
      'CAT',
      'cat',
      'sat,',
      'on',
      'Ä',
      'ä',
      '',
      '🙂',
      "it's",
      'a\tb',
    );
    const text = fc.oneof(
      { weight: 8, arbitrary: fc.array(token, { maxLength: 12 }).map((tokens) => tokens.join(' ')) },
      { weight: 1, arbitrary: fc.constantFrom(null, 'None', 'nan', '   ') },
    );
    return fc.assert(
      fc.asyncProperty(
        fc.array(text, { maxLength: 40 }),
        fc.array(fc.oneof(text, fc.constantFrom('none of it', 'unseen words')), {
          minLength: 1,
          maxLength: 12,
        }),
        fc.constantFrom(1, 2),
        fc.constantFrom(1, 2),
        async (documents, scoring, ngrams, minDocuments) => {
          const training: Cell[] = ['the cat', 'the cat', 'none', ...documents];
          const options = { ngrams, minDocuments, maxFeatures: 5000 };
          const column: Column = { name: 't', kind: 'text', options, training, scoring };
          const { plan } = await learn([column]);
          compare(
            plan,
            await matrixOf(connection, 'scoring', plan, preprocessGraph(plan)),
            await sklearn.ask({ columns: [column] }),
          );
        },
      ),
      RUNS,
    );
  });

  it('ratios, products and crosses', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(number, number, category, category), { maxLength: 40 }),
        fc.array(fc.tuple(number, fc.oneof(number, fc.constant(0)), category, category), {
          minLength: 1,
          maxLength: 20,
        }),
        async (rows, others) => {
          const known: [Cell, Cell, Cell, Cell][] = [
            [1, 2, 'a', 'b'],
            [3, 4, 'a', 'b'],
            [5, 1, 'a', 'c'],
            ...rows,
          ];
          const cells = (at: 0 | 1 | 2 | 3) => ({
            training: known.map((row) => row[at]),
            scoring: others.map((row) => row[at]),
          });
          const plain = { impute: 'none', scale: 'none', missingIndicator: false };
          const ordinal = { encoding: 'ordinal' };
          const columns: Column[] = [
            { name: 'a', kind: 'numeric', options: plain, ...cells(0) },
            { name: 'b', kind: 'numeric', options: plain, ...cells(1) },
            { name: 'c', kind: 'categorical', options: ordinal, ...cells(2) },
            { name: 'd', kind: 'categorical', options: ordinal, ...cells(3) },
          ];
          const derived = [{ ratio: ['a', 'b'] }, { product: ['a', 'b'] }, { cross: ['c', 'd'] }];
          const settings = { 'a / b': plain, 'a × b': plain, 'c × d': ordinal };
          const { plan } = await learn(columns, { derived, settings });
          const [a, b, c, d] = columns;
          const expected = await sklearn.ask({
            columns: [
              ...columns,
              { name: 'a / b', kind: 'ratio', of: [a, b], options: plain },
              { name: 'a × b', kind: 'product', of: [a, b], options: plain },
              { ...c, name: 'c × d', kind: 'cross', with: d },
            ],
          });
          compare(plan, await matrixOf(connection, 'scoring', plan, preprocessGraph(plan)), expected);
        },
      ),
      RUNS,
    ));
});
