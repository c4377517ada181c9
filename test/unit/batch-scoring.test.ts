import { describe, expect, it } from 'vitest';
import { formatOfName } from '../../contracts/batch-output.ts';
import { batchScoringInput } from '../../contracts/batch-scoring.ts';
import { describeIssues } from '../../contracts/issues.ts';
import { modelSignature } from '../../contracts/serving.ts';
import { gapIn, nextChunks } from '../../domain/batch-chunks.ts';
import { copiedSql, postgresType } from '../../lib/scoring/destination/postgres-types.ts';
import { plannedColumns } from '../../lib/scoring/plan.ts';
import { problemSql, rowProblems } from '../../lib/scoring/validity.ts';
import { signature } from '../support/samples.ts';

const INPUT = { model: 'churn', source: 'customers.csv', output: 'scores.parquet' };

const issuesOf = (changes: object): string => {
  const input = { ...INPUT, ...changes };
  const parsed = batchScoringInput.safeParse(input);
  return parsed.success ? '' : describeIssues(parsed.error, input);
};

describe('the argument of batchScoring', () => {
  it('needs a model, a source and an output', () => {
    expect(batchScoringInput.parse(INPUT)).toMatchObject({
      output: { path: 'scores.parquet', overwrite: false },
      source: { path: 'customers.csv' },
      passThrough: 'all',
      invalid: 'fail',
      features: false,
      chunkRows: 122_880,
      parallel: 2,
    });
  });

  it('parses what it has parsed: the next run of the workflow gets it so', () => {
    const parsed = batchScoringInput.parse({
      ...INPUT,
      version: 3,
      source: { postgres: { url: 'postgres://reader@db/x', table: 'customers' }, maxBytes: '20GB' },
      output: {
        s3: 's3://bucket/scores/',
        credentials: { accessKeyId: 'a', secretAccessKey: '${env:PERENNIAL_SECRET_KEY}' },
      },
    });
    expect(parsed.version).toBe('3');
    expect(batchScoringInput.parse(JSON.parse(JSON.stringify(parsed)))).toEqual(parsed);
  });

  it.each([
    [{ version: '3', alias: 'champion' }, 'a version or an alias, not both'],
    [{ version: 'three' }, 'a number of a version'],
    [{ model: 'churn/3' }, 'the name of a registered model'],
    [{ output: 'scores.xlsx' }, '.parquet, .csv or .jsonl'],
    [{ output: 'postgres://u@h/db' }, '{ postgres: { url, table } }'],
    [{ output: 's3://bucket/part-*.parquet' }, 'not a path or an s3://bucket/key'],
    [{ source: { path: 'a.csv', incremental: { newFiles: true } } }, 'a batch scores all rows of its source'],
    [
      { output: { postgres: { url: 'postgres://u:secret@h/db', table: 't' } } },
      'the password would be stored',
    ],
    [{ output: { path: '/tmp/${env:PERENNIAL_SECRET_X}.csv' } }, 'a plain path'],
    [{ sql: "SELECT '${env:PERENNIAL_SECRET_X}'" }, 'a secret may stand in what opens a source'],
    [{ batchId: '../../etc' }, 'letters, digits'],
    [{ chunkRows: 0 }, '1'],
    [{ chunkrows: 10 }, 'chunkrows: is not a known key'],
  ])('refuses %j', (changes, words) => {
    expect(issuesOf(changes)).toContain(words);
  });

  it('knows a format by a name', () => {
    expect(['a.parquet', 'a.CSV', 'a.jsonl', 'folder/', 'a.txt'].map(formatOfName)).toEqual([
      'parquet',
      'csv',
      'jsonl',
      'parquet',
      undefined,
    ]);
  });
});

describe('chunks', () => {
  it('cover all rows once, however many are asked for at a time', () => {
    for (const rows of [1, 99, 100, 101, 1_000, 1_234])
      for (const most of [1, 3, 1_000]) {
        const all = [];
        for (let next = 0; next < rows; next = all.at(-1)?.before ?? rows)
          all.push(...nextChunks({ rows, chunkRows: 100, next, most }));
        expect(gapIn(all, rows)).toBeUndefined();
        expect(all).toHaveLength(Math.ceil(rows / 100));
      }
  });

  it('of no rows are one without rows', () => {
    expect(nextChunks({ rows: 0, chunkRows: 100, next: 0, most: 5 })).toEqual([{ from: 0, before: 0 }]);
    expect(gapIn([{ from: 0, before: 0 }], 0)).toBeUndefined();
  });

  it('that are missing, doubled or cut off are told', () => {
    expect(
      gapIn(
        [
          { from: 0, before: 10 },
          { from: 20, before: 30 },
        ],
        30,
      ),
    ).toContain('rows 10 to 19');
    expect(
      gapIn(
        [
          { from: 0, before: 10 },
          { from: 5, before: 30 },
        ],
        30,
      ),
    ).toContain('row 5 is in two');
    expect(gapIn([{ from: 0, before: 10 }], 30)).toContain('end at row 10 of 30');
    expect(gapIn([], 30)).toContain('end at row 0 of 30');
  });
});

describe('the columns of the answers', () => {
  const columns = [
    { name: 'age', type: 'INTEGER' },
    { name: 'plan', type: 'VARCHAR' },
    { name: 'Version', type: 'VARCHAR' },
    { name: 'id', type: 'BIGINT' },
  ];
  const wanted = { passThrough: 'all', features: false } as const;

  it('are those of the source, and those whose names are taken get another one', () => {
    expect(plannedColumns(columns, signature, wanted)).toEqual({
      passThrough: [
        { column: 'age', as: 'age' },
        { column: 'plan', as: 'plan' },
        { column: 'Version', as: 'source_Version' },
        { column: 'id', as: 'id' },
      ],
      entity: null,
      missingInputs: [],
    });
  });

  it('tell of inputs that the source does not have', () => {
    const { missingInputs } = plannedColumns(columns.slice(1), signature, { ...wanted, entity: 'id' });
    expect(missingInputs).toEqual(['age']);
  });

  it.each([
    [
      'a required input',
      columns.slice(1),
      { inputs: [{ name: 'age', kind: 'numeric', optional: false }], outputs: [] },
      {},
      /requires the column age/,
    ],
    [
      'all inputs',
      [{ name: 'agee', type: 'INTEGER' }],
      signature,
      {},
      /none of the model's 2 inputs.*did you mean agee/,
    ],
    [
      'a column to pass through',
      columns,
      signature,
      { passThrough: ['ids'] },
      /passThrough names the column ids.*did you mean id\?/,
    ],
    ['the entity', columns, signature, { entity: 'customer' }, /entity names the column customer/],
    [
      'two of the same name',
      [...columns, { name: 'source_version', type: 'VARCHAR' }],
      signature,
      {},
      /would both be called/,
    ],
    [
      'a type that is no number',
      [{ name: 'age', type: 'INTEGER[]' }],
      signature,
      {},
      /cannot be a numeric feature/,
    ],
    [
      'the engine’s own name',
      [...columns, { name: 'file_row_number', type: 'BIGINT' }],
      signature,
      {},
      /rename it in sql/,
    ],
  ] as const)('refuse %s', (_what, given, model, changes, words) => {
    expect(() => plannedColumns([...given], modelSignature.parse(model), { ...wanted, ...changes })).toThrow(
      words,
    );
  });
});

describe('rows that cannot be scored', () => {
  const problems = (kind: 'numeric' | 'datetime' | 'categorical', type: string, optional = true) =>
    rowProblems({ inputs: [{ name: 'x', kind, optional }], outputs: [] }, new Map([['x', type]])).map(
      ({ words }) => words,
    );

  it('cannot be among those whose types leave no doubt', () => {
    expect(problems('numeric', 'INTEGER')).toEqual([]);
    expect(problems('categorical', 'VARCHAR')).toEqual([]);
    expect(rowProblems(signature, new Map())).toEqual([]);
  });

  it('are told by column, never by value', () => {
    expect(problems('numeric', 'VARCHAR')).toEqual(['column "x": the text is no number']);
    expect(problems('numeric', 'DOUBLE')).toEqual(['column "x": the number is too large for a 32-bit float']);
    expect(problems('datetime', 'BIGINT')).toEqual([
      'column "x": the date lies outside of the years 1 to 9999',
    ]);
    expect(problems('categorical', 'VARCHAR', false)).toEqual([
      'column "x": the value is missing; the model requires it',
    ]);
  });

  it('have the number of their first problem', () => {
    expect(
      problemSql([
        { condition: 'a', words: '' },
        { condition: 'b', words: '' },
      ]),
    ).toBe('CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 0 END');
  });
});

describe('columns in PostgreSQL', () => {
  it.each([
    ['BIGINT', 'bigint'],
    ['UBIGINT', 'numeric(20)'],
    ['DECIMAL(10,2)', 'numeric(10,2)'],
    ['TIMESTAMP WITH TIME ZONE', 'timestamptz'],
    ['TIMESTAMP_NS', 'timestamp'],
    ['VARCHAR', 'text'],
    ['INTEGER[]', 'text'],
    ["ENUM('a')", 'text'],
  ])('%s is %s', (type, expected) => {
    expect(postgresType(type)).toBe(expected);
  });

  it('that PostgreSQL has no type for are texts', () => {
    expect(copiedSql({ name: 'a"b', type: 'INTEGER[]' })).toBe('CAST(to_json("a""b") AS VARCHAR) AS "a""b"');
    expect(copiedSql({ name: 'x', type: 'VARCHAR' })).toBe('"x"');
  });
});
