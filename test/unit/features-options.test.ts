import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { featuresSpec } from '../../contracts/spec/features.ts';
import { columnTasks } from '../../lib/features/column-options.ts';
import { featureColumns } from '../../lib/features/feature-columns.ts';
import type { ColumnPlan, RawColumn } from '../../lib/features/feature-plan.ts';
import { featureKindOf } from '../../lib/features/kinds.ts';
import { matrixColumns } from '../../lib/features/matrix.ts';
import { PRESETS } from '../../lib/features/presets.ts';

const COLUMNS: RawColumn[] = [
  { name: 'age', kind: 'numeric' },
  { name: 'job', kind: 'categorical' },
  { name: 'when', kind: 'datetime' },
];
const refusal = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('features in the spec', () => {
  it('are all optional: what is not said, the preset says', () => {
    expect(featuresSpec.parse(undefined)).toEqual({
      numeric: {},
      categorical: {},
      datetime: {},
      text: {},
      columns: {},
      derived: [],
      folds: 5,
    });
    expect(() => z.toJSONSchema(featuresSpec, { io: 'input' })).not.toThrow();
  });

  it.each([
    [{ numeric: { impute: 'constant' } }, 'numeric.constant'],
    [{ numeric: { clip: [0.9, 0.1] } }, 'numeric.clip'],
    [{ numeric: { clip: [0, 2] } }, 'numeric.clip.1'],
    [{ datetime: { parts: [] } }, 'datetime.parts'],
    [{ columns: { a: { impute: 'constant' } } }, 'columns.a.constant'],
  ])('refuse %j', (spec, path) => {
    const paths = featuresSpec.safeParse(spec).error?.issues.map((issue) => issue.path.join('.'));
    expect(paths).toEqual([path]);
  });
});

describe('columnTasks', () => {
  it("lays a column's own settings over those of its kind", () => {
    const spec = featuresSpec.parse({
      numeric: { scale: 'none' },
      columns: { age: { impute: 'zero' }, when: 'ignored', job: { maxCategories: 3 } },
    });
    expect(columnTasks(COLUMNS, spec, 'linear')).toEqual([
      {
        name: 'age',
        kind: 'numeric',
        options: { ...PRESETS.linear.numeric, impute: 'zero', scale: 'none' },
      },
      { name: 'job', kind: 'categorical', options: { ...PRESETS.linear.categorical, maxCategories: 3 } },
    ]);
    expect(columnTasks(COLUMNS, spec, 'tree')).toEqual([
      { name: 'age', kind: 'numeric', options: { ...PRESETS.tree.numeric, impute: 'zero', scale: 'none' } },
      { name: 'job', kind: 'categorical', options: { ...PRESETS.tree.categorical, maxCategories: 3 } },
    ]);
  });

  it('keeps a default where a setting is there but undefined', () => {
    const spec = { ...featuresSpec.parse({}), columns: { age: { scale: undefined } } };
    expect(columnTasks(COLUMNS, spec, 'linear')[0]).toMatchObject({ options: { scale: 'standard' } });
  });

  it('changes a kind', () => {
    const spec = featuresSpec.parse({ columns: { age: 'categorical' } });
    expect(columnTasks(COLUMNS, spec, 'linear')[0]).toMatchObject({
      name: 'age',
      kind: 'categorical',
      options: { encoding: 'auto' },
    });
  });

  it.each([
    [
      { age: { encoding: 'onehot' } },
      'FeatureInvalid',
      /features\.columns\.age\.encoding does not apply to a numeric column/,
    ],
    [{ when: { impute: 'mean' } }, 'FeatureInvalid', /a missing date can be imputed by median or none/],
    [{ aeg: 'numeric' }, 'ColumnMissing', /"aeg", which is no feature column; .*age, job, when/],
  ])('refuses %j', (columns, code, message) => {
    expect(() => columnTasks(COLUMNS, featuresSpec.parse({ columns }), 'tree')).toThrow(
      refusal(code, message),
    );
  });
});

describe('derived features', () => {
  const tasks = (derived: object[], columns = {}) =>
    columnTasks(
      [...COLUMNS, { name: 'pay', kind: 'numeric' }, { name: 'town', kind: 'categorical' }],
      featuresSpec.parse({ derived, columns }),
      'linear',
    );

  it('have names, kinds and settings of their own', () => {
    const made = tasks(
      [{ ratio: ['pay', 'age'] }, { product: ['pay', 'age'], name: 'area' }, { cross: ['job', 'town'] }],
      { area: { scale: 'none' } },
    ).slice(COLUMNS.length + 2);
    expect(made).toEqual([
      {
        name: 'pay / age',
        kind: 'numeric',
        options: PRESETS.linear.numeric,
        derived: { name: 'pay / age', kind: 'numeric', op: 'ratio', of: ['pay', 'age'] },
      },
      {
        name: 'area',
        kind: 'numeric',
        options: { ...PRESETS.linear.numeric, scale: 'none' },
        derived: { name: 'area', kind: 'numeric', op: 'product', of: ['pay', 'age'] },
      },
      {
        name: 'job × town',
        kind: 'categorical',
        options: PRESETS.linear.categorical,
        derived: { name: 'job × town', kind: 'categorical', op: 'cross', of: ['job', 'town'] },
      },
    ]);
  });

  it.each([
    [{ ratio: ['pay', 'aeg'] }, 'ColumnMissing', /features\.derived\[0\]\.ratio names "aeg"/],
    [{ ratio: ['pay', 'job'] }, 'FeatureInvalid', /"job" is categorical; a ratio is made of two numeric/],
    [{ cross: ['job', 'age'] }, 'FeatureInvalid', /"age" is numeric; a cross is made of two categorical/],
    [{ product: ['pay', 'age'], name: 'town' }, 'FeatureInvalid', /a feature "town" already/],
  ])('refuse %j', (derived, code, message) => {
    expect(() => tasks([derived])).toThrow(refusal(code, message));
  });
});

describe('featureColumns', () => {
  const table = [
    { name: 'id', type: 'VARCHAR' },
    { name: 'age', type: 'BIGINT' },
    { name: 'flag', type: 'BOOLEAN' },
    { name: 'at', type: 'TIMESTAMP WITH TIME ZONE' },
    { name: 'tags', type: 'VARCHAR[]' },
    { name: 'y', type: 'VARCHAR' },
  ];
  const spec = (features?: string[], columns = {}) => ({
    columns: { target: 'y', entity: ['id'], timestamp: 'at', ignored: [], ...(features ? { features } : {}) },
    features: featuresSpec.parse({ columns }),
  });

  it('takes all columns without another role', () => {
    expect(featureColumns(table, spec(undefined, { tags: 'ignored' }))).toEqual([
      { name: 'age', kind: 'numeric' },
      { name: 'flag', kind: 'boolean' },
    ]);
  });

  it('takes the named ones, the timestamp included, in the order of the table', () => {
    expect(featureColumns(table, spec(['at', 'age']))).toEqual([
      { name: 'age', kind: 'numeric' },
      { name: 'at', kind: 'datetime' },
    ]);
  });

  it.each([
    [spec(), 'ColumnInvalid', /"tags" has the type VARCHAR\[\]/],
    [spec(['nobody']), 'ColumnMissing', /"nobody"/],
    [spec(['y']), 'FeatureInvalid', /the target "y"/],
  ])('refuses what cannot be', (given, code, message) => {
    expect(() => featureColumns(table, given)).toThrow(refusal(code, message));
  });

  it('knows the kinds of DuckDB types', () => {
    const kinds = Object.fromEntries(
      [
        'TINYINT',
        'UBIGINT',
        'HUGEINT',
        'DECIMAL(18,3)',
        'DOUBLE',
        "ENUM('a', 'b')",
        'UUID',
        'DATE',
        'TIMESTAMP_NS',
        'TIME',
        'INTERVAL',
        'BLOB',
        'STRUCT(a INTEGER)',
      ].map((type) => [type, featureKindOf(type)]),
    );
    expect(kinds).toEqual({
      TINYINT: 'numeric',
      UBIGINT: 'numeric',
      HUGEINT: 'numeric',
      'DECIMAL(18,3)': 'numeric',
      DOUBLE: 'numeric',
      "ENUM('a', 'b')": 'categorical',
      UUID: 'categorical',
      DATE: 'datetime',
      TIMESTAMP_NS: 'datetime',
      TIME: undefined,
      INTERVAL: undefined,
      BLOB: undefined,
      'STRUCT(a INTEGER)': undefined,
    });
  });
});

describe('matrixColumns', () => {
  it('gives every column a name of its own', () => {
    const raw = { sqlType: 'VARCHAR', missing: 0, indicator: false };
    const columns: ColumnPlan[] = [
      {
        kind: 'categorical',
        name: 'a',
        ...raw,
        value: { encoding: 'onehot', categories: ['b', 'b=c'], other: true },
      },
      {
        kind: 'categorical',
        name: 'a=b',
        ...raw,
        indicator: true,
        value: { encoding: 'onehot', categories: ['c'], other: false },
      },
    ];
    expect(matrixColumns(columns)).toEqual([
      { name: 'a=b', kind: 'category', source: 'a' },
      { name: 'a=b=c', kind: 'category', source: 'a' },
      { name: 'a is other', kind: 'other', source: 'a' },
      { name: 'a=b=c (2)', kind: 'category', source: 'a=b' },
      { name: 'a=b is missing', kind: 'missing', source: 'a=b' },
    ]);
  });
});
