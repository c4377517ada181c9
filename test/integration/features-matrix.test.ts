import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  categoricalOptions,
  datePart,
  datetimeOptions,
  featuresSpec,
  numericOptions,
} from '../../contracts/spec/features.ts';
import { quoteIdent, quoteLiteral } from '../../lib/duckdb/sql.ts';
import { featurePlan } from '../../lib/features/feature-plan.ts';
import { fitFeatures, sqlTypes } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { rawColumnsSql } from '../../lib/features/raw-sql.ts';
import { type Cell, type ReferenceColumn, randomSource, referenceMatrix } from './features-reference.ts';

let connection: DuckDBConnection;

beforeAll(async () => {
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  // The features must not depend on the session's time zone.
  await connection.run("SET TimeZone = 'America/New_York'");
});

const SQL_TYPES = {
  numeric: 'DOUBLE',
  boolean: 'BOOLEAN',
  categorical: 'VARCHAR',
  datetime: 'TIMESTAMP',
} as const;

async function createTable(name: string, columns: readonly ReferenceColumn[], part: 'training' | 'scoring') {
  const definitions = columns.map((column) => `${quoteIdent(column.name)} ${SQL_TYPES[column.kind]}`);
  await connection.run(`CREATE OR REPLACE TABLE ${name} (${definitions.join(', ')})`);
  const rows = columns[0]?.[part].length ?? 0;
  const literals = Array.from(
    { length: rows },
    (_, row) => `(${columns.map((column) => literal(column, column[part][row] ?? null)).join(', ')})`,
  );
  await connection.run(`INSERT INTO ${name} VALUES ${literals.join(', ')}`);
}

function literal({ kind }: ReferenceColumn, cell: Cell): string {
  if (cell === null) return 'NULL';
  if (kind === 'datetime') return `make_timestamp(${Math.round(Number(cell) * 1e6)}::BIGINT)`;
  if (typeof cell === 'number') return `'${cell}'::DOUBLE`;
  return typeof cell === 'string' ? quoteLiteral(cell) : String(cell);
}

/** A table with everything that goes wrong in tables, and random options; the seed tells all. */
function randomColumns(seed: number): ReferenceColumn[] {
  const random = randomSource(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const oneOf = <T>(...items: [T, ...T[]]): T => items[below(items.length)] ?? items[0];
  const chance = (share: number) => random() < share;
  const rows = 30 + below(200);
  const cells = (make: () => Cell, missing: number, count: number): Cell[] =>
    Array.from({ length: count }, () => (chance(missing) ? null : make()));
  const parts = (make: () => Cell, unseen: () => Cell) => {
    const missing = oneOf(0, 0, 0.2, 1 - 1 / rows);
    return {
      training: cells(make, missing, rows),
      scoring: cells(() => (chance(0.2) ? unseen() : make()), 0.2, 60),
    };
  };
  const names = [
    'plain',
    'with space',
    'say "hi"',
    "it's",
    'größe',
    '数量',
    'a=b',
    'features',
    'x/y',
    'semi;colon',
    'back\\slash',
    '#0',
    'Concat#3',
    '🙂',
  ];
  const column = (name: string): ReferenceColumn => {
    switch (oneOf('numeric', 'numeric', 'boolean', 'categorical', 'categorical', 'datetime')) {
      case 'numeric': {
        const centre = oneOf(0, -3, 50);
        const step = oneOf(0, 0.1, 1);
        const make = () =>
          chance(0.05)
            ? oneOf(Number.NaN, Infinity, -Infinity, 1e300)
            : centre + below(40) * step + (step > 0 ? random() : 0);
        const options = numericOptions.parse({
          impute: oneOf('median', 'mean', 'zero', 'constant', 'none'),
          constant: 7.25,
          scale: oneOf('standard', 'robust', 'minmax', 'none'),
          missingIndicator: chance(0.7),
          log: chance(0.3),
          binEncoding: oneOf('ordinal', 'onehot'),
          ...(chance(0.3) ? { bins: oneOf(2, 5, 20) } : {}),
          ...(chance(0.4) ? { clip: oneOf([0.05, 0.9], [0, 0.5]) } : {}),
        });
        return {
          name,
          kind: 'numeric',
          options,
          ...parts(make, () => oneOf(-1000, 1000, Number.NaN, Infinity)),
        };
      }
      case 'boolean':
        return {
          name,
          kind: 'boolean',
          options: {},
          ...parts(
            () => chance(0.4),
            () => true,
          ),
        };
      case 'categorical': {
        const words = [
          'a',
          'b',
          "O'Neil",
          'say "x"',
          'ä',
          '日本',
          ' ',
          'none',
          'NA',
          '🙂',
          'line\nbreak',
          ...Array.from({ length: 40 }, (_, i) => `w${i}`),
        ];
        const variety = oneOf(1, 3, 11, words.length);
        const missingWords = oneOf(0, 0.03);
        const make = () =>
          chance(missingWords)
            ? oneOf('None', 'nan', 'NaN', '<NA>', '')
            : (words[Math.floor(random() ** 2 * variety)] ?? '');
        const options = categoricalOptions.parse({
          encoding: oneOf('auto', 'onehot', 'ordinal', 'frequency'),
          maxCategories: oneOf(2, 32),
          minFrequency: oneOf(1, 3),
          smoothing: 20,
        });
        return {
          name,
          kind: 'categorical',
          options,
          ...parts(make, () => oneOf('never seen', 'nan', '', 'A')),
        };
      }
      case 'datetime': {
        const [from, span] = oneOf([-1.2e10, 2.5e10], [1.38e9, 3e7], [0, 0]);
        const make = () => from + Math.floor(random() * span * 8) / 8;
        const options = datetimeOptions.parse({
          parts: datePart.options
            .filter(() => chance(0.6))
            .concat('month')
            .filter((part, at, all) => all.indexOf(part) === at),
          cyclic: chance(0.4),
          scale: oneOf('standard', 'robust', 'minmax', 'none'),
          missingIndicator: chance(0.7),
          impute: oneOf('median', 'none'),
        });
        return {
          name,
          kind: 'datetime',
          options,
          ...parts(make, () => oneOf(-62_135_596_801, 253_402_300_800, -1, 951_782_400)),
        };
      }
    }
  };
  return names.slice(0, 4 + below(names.length - 3)).map(column);
}

/** The scoring rows through the fitted graph, as named columns. */
async function engineMatrix(columns: readonly ReferenceColumn[]) {
  await createTable('training', columns, 'training');
  await createTable('scoring', columns, 'scoring');
  const spec = featuresSpec.parse({
    columns: Object.fromEntries(columns.map(({ name, kind, options }) => [name, { kind, ...options }])),
  });
  const { plan } = await fitFeatures(
    connection,
    'training',
    columns.map(({ name, kind }) => ({ name, kind })),
    spec,
    { preset: 'linear' },
  );
  expect(featurePlan.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);

  const session = await InferenceSession.create(preprocessGraph(plan));
  const reader = await connection.runAndReadAll(
    `SELECT ${rawColumnsSql(plan.columns, await sqlTypes(connection, 'scoring'))} FROM scoring`,
  );
  const raw = reader.getColumnsJS();
  const feeds = Object.fromEntries(
    plan.columns.map(({ name, kind }, index): [string, Tensor] => {
      const values = raw[index] ?? [];
      if (kind === 'categorical') return [name, new Tensor('string', values.map(String), [values.length])];
      const numbers = values.map(Number);
      return kind === 'datetime'
        ? [name, new Tensor('float64', numbers, [numbers.length])]
        : [name, new Tensor('float32', numbers, [numbers.length])];
    }),
  );
  expect(session.inputMetadata.map((input) => (input.isTensor ? input.shape.length : 0))).toEqual(
    plan.columns.map(() => 1),
  );
  const [result] = Object.values(await session.run(feeds));
  const width = plan.matrix.length;
  expect(result?.dims).toEqual([60, width]);
  const data = Array.from(result?.data ?? [], Number);
  return plan.matrix.map(({ name }, column) => ({
    name,
    values: data.filter((_, at) => at % width === column),
  }));
}

describe('the matrix of the ONNX graph equals the one worked out by hand', () => {
  it.each(Array.from({ length: 60 }, (_, index) => index + 1))('on random table %i', async (seed) => {
    const columns = randomColumns(seed);
    const expected = referenceMatrix(columns);
    if (expected.length === 0) {
      await expect(engineMatrix(columns)).rejects.toMatchObject({ code: 'FeatureInvalid' });
      return;
    }
    const matrix = await engineMatrix(columns);
    expect(matrix.map(({ name }) => name)).toEqual(expected.map(({ name }) => name));
    for (const [index, { name, values }] of expected.entries()) {
      const found = matrix[index]?.values ?? [];
      const wrong = values.findIndex(
        (value, row) =>
          !(Number.isNaN(value) && Number.isNaN(found[row])) &&
          !(Math.abs(value - (found[row] ?? Number.NaN)) <= 1e-5 * Math.max(1, Math.abs(value))),
      );
      expect({ name, wrong, found: found[wrong], expected: values[wrong] }).toEqual({ name, wrong: -1 });
    }
  });
});
