import { describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import { InputSchema } from '../../serving/input/input-schema.ts';
import { readInvocation } from '../../serving/input/invocations.ts';
import { parseJson } from '../../serving/input/json.ts';
import { RequestError } from '../../serving/request-error.ts';

const INPUTS: ModelSignature['inputs'] = [
  { name: 'age', kind: 'numeric', optional: false },
  { name: 'city', kind: 'categorical', optional: true },
  { name: 'active', kind: 'boolean', optional: true },
  { name: 'joined', kind: 'datetime', optional: true },
];
const schema = new InputSchema(INPUTS, { maxRows: 3 });
const one = new InputSchema([{ name: 'x', kind: 'numeric', optional: true }]);

/** The batch as plain lists, in the order of the signature. */
function read(body: unknown, of = schema): unknown[][] {
  const { rows, columns } = readInvocation(of, body);
  const lists = of.inputs.map(({ name }) => Array.from<unknown>(columns.get(name) ?? []));
  for (const list of lists) expect(list).toHaveLength(rows);
  return lists;
}

function refusal(act: () => unknown): { status: number; message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof RequestError) return { status: error.status, message: error.message };
    throw error;
  }
  throw new Error('was accepted');
}

const JOINED = 1_700_000_000;
const ROW = { age: 41, city: 'Ulm', active: true, joined: '2023-11-14T22:13:20Z' };

describe('readInvocation', () => {
  it.each<[string, unknown, unknown[][]]>([
    ['records', { dataframe_records: [ROW] }, [[41], ['Ulm'], [1], [JOINED]]],
    [
      'records with keys left out and null',
      { dataframe_records: [{ age: 1 }, { city: null, age: 2.5, active: null, joined: null }] },
      [
        [1, 2.5],
        ['', ''],
        [Number.NaN, Number.NaN],
        [Number.NaN, Number.NaN],
      ],
    ],
    [
      'split, in another order, with an index',
      { dataframe_split: { columns: ['city', 'age'], index: [7], data: [['Bonn', 3]] } },
      [[3], ['Bonn'], [Number.NaN], [Number.NaN]],
    ],
    [
      'instances of objects',
      { instances: [ROW, { ...ROW, active: 0 }] },
      [
        [41, 41],
        ['Ulm', 'Ulm'],
        [1, 0],
        [JOINED, JOINED],
      ],
    ],
    ['instances of lists', { instances: [[41, 'Ulm', 1, JOINED]] }, [[41], ['Ulm'], [1], [JOINED]]],
    [
      'inputs as columns',
      { inputs: { age: [1, 2], city: ['a', null] } },
      [
        [1, 2],
        ['a', ''],
        [Number.NaN, Number.NaN],
        [Number.NaN, Number.NaN],
      ],
    ],
    [
      'inputs as columns of shape [n, 1]',
      { inputs: { age: [[1]], city: [['a']] } },
      [[1], ['a'], [Number.NaN], [Number.NaN]],
    ],
    ['inputs as lone values', { inputs: { age: 1 } }, [[1], [''], [Number.NaN], [Number.NaN]]],
    ['inputs as objects', { inputs: [ROW] }, [[41], ['Ulm'], [1], [JOINED]]],
    ['other keys beside', { dataframe_records: [ROW], params: { a: 1 } }, [[41], ['Ulm'], [1], [JOINED]]],
    ['false', { instances: [{ age: 0, active: false }] }, [[0], [''], [0], [Number.NaN]]],
    [
      'negative zero and fractions',
      { instances: [{ age: -0.5, joined: 0.25 }] },
      [[-0.5], [''], [Number.NaN], [0.25]],
    ],
  ])('reads %s', (_name, body, expected) => {
    expect(read(body)).toEqual(expected);
  });

  it('reads bare values and lists for a model of one input', () => {
    expect(read({ instances: [1, null, 3] }, one)).toEqual([[1, Number.NaN, 3]]);
    expect(read({ instances: [[1], [2]] }, one)).toEqual([[1, 2]]);
  });

  it('gives each kind its own array', () => {
    const { columns } = readInvocation(schema, { dataframe_records: [ROW] });
    expect(columns.get('age')).toBeInstanceOf(Float32Array);
    expect(columns.get('city')).toEqual(['Ulm']);
    expect(columns.get('active')).toBeInstanceOf(Float32Array);
    expect(columns.get('joined')).toBeInstanceOf(Float64Array);
  });

  it('knows no column by the names that every object has', () => {
    const odd = new InputSchema([{ name: 'constructor', kind: 'numeric', optional: false }]);
    expect(refusal(() => readInvocation(odd, { instances: [{}] })).message).toBe(
      'row 0, column "constructor": the value is absent; the model requires it',
    );
    expect(read({ instances: [{ constructor: 2 }] }, odd)).toEqual([[2]]);
    expect(
      refusal(() => readInvocation(schema, parseJson('{"instances":[{"__proto__":1}]}'))).message,
    ).toContain('no column "__proto__"');
  });

  const records = (row: object): object => ({ dataframe_records: [{ age: 1 }, { age: 2, ...row }] });
  it.each<[unknown, string]>([
    [
      records({ age: 'x' }),
      'row 1, column "age": expected a number, got a string; send a JSON number, or null where the value is missing',
    ],
    [
      records({ age: true }),
      'row 1, column "age": expected a number, got true or false; send a JSON number, or null where the value is missing',
    ],
    [
      records({ age: [1] }),
      'row 1, column "age": expected a number, got a list; send a JSON number, or null where the value is missing',
    ],
    [
      records({ age: {} }),
      'row 1, column "age": expected a number, got an object; send a JSON number, or null where the value is missing',
    ],
    [records({ age: null }), 'row 1, column "age": the value is missing (null); the model requires it'],
    [
      records({ age: 1e39 }),
      'row 1, column "age": the number is too large for a 32-bit float; send one below 3.4e38, or null where the value is missing',
    ],
    [
      parseJson('{"instances":[{"age":1e999}]}'),
      'row 0, column "age": the number is too large for a 32-bit float; send one below 3.4e38, or null where the value is missing',
    ],
    [
      records({ city: 5 }),
      'row 1, column "city": expected a string, got a number; send text, written just as in the training data (for example "1" instead of 1), or null where the value is missing',
    ],
    [
      records({ city: false }),
      'row 1, column "city": expected a string, got true or false; send text, written just as in the training data (for example "1" instead of 1), or null where the value is missing',
    ],
    [
      records({ active: 2 }),
      'row 1, column "active": expected true or false, got another number; send true, false, 1 or 0, or null where the value is missing',
    ],
    [
      records({ active: 'true' }),
      'row 1, column "active": expected true or false, got a string; send true, false, 1 or 0, or null where the value is missing',
    ],
    [
      records({ joined: '14.11.2023' }),
      'row 1, column "joined": the text is not an existing ISO 8601 date; send "2025-03-01" or "2025-03-01T12:00:00Z", or epoch seconds',
    ],
    [
      records({ joined: 1_700_000_000_000 }),
      'row 1, column "joined": the number is outside the years 1 to 9999 in epoch seconds; divide milliseconds by 1000, or send ISO 8601 text',
    ],
    [
      records({ joined: true }),
      'row 1, column "joined": expected a date, got true or false; send ISO 8601 text such as "2025-03-01T12:00:00Z", or epoch seconds',
    ],
    [records({ agee: 1 }), 'the model has no column "agee"; did you mean "age"?'],
    [records({ City: 'a' }), 'the model has no column "City"; did you mean "city"?'],
    [
      records({ income: 1 }),
      'the model has no column "income"; leave it out; the model\'s metadata lists its inputs',
    ],
    [
      { dataframe_records: [{ city: 'Ulm' }] },
      'row 0, column "age": the value is absent; the model requires it',
    ],
    [{ dataframe_records: [7] }, 'dataframe_records, row 0: expected an object of columns, got a number'],
    [{ dataframe_records: ROW }, 'dataframe_records must be a list of objects, got an object'],
    [{ dataframe_records: [] }, 'the request has no rows; send at least one'],
    [{ instances: 'x' }, 'instances must be a list, got a string'],
    [{ instances: [5] }, 'instances, row 0: expected an object of columns or a list of values, got a number'],
    [{ instances: [[1, 'a']] }, 'instances, row 0: expected 4 values, one for each column, got 2'],
    [
      { instances: [[1, 'a', 1, 0], { age: 1 }] },
      'instances, row 1: expected a list of values, got an object',
    ],
    [{ inputs: 5 }, 'inputs must be an object of columns or a list of rows, got a number'],
    [{ inputs: {} }, 'the column "age" is absent; the model requires it'],
    [
      { inputs: { age: [1, 2], city: ['a'] } },
      'inputs: the column "city" has 1 values, "age" has 2; send as many values in every column',
    ],
    [
      { inputs: { age: [[1, 2]] } },
      'row 0, column "age": expected a number, got a list; send a JSON number, or null where the value is missing',
    ],
    [{ dataframe_split: [] }, 'dataframe_split must be an object with columns and data, got a list'],
    [
      { dataframe_split: { data: [[1]] } },
      'dataframe_split.columns must be a list of column names; positions are not guessed',
    ],
    [{ dataframe_split: { columns: ['age'] } }, 'dataframe_split.data must be a list of rows'],
    [
      { dataframe_split: { columns: ['age', 'age'], data: [[1, 2]] } },
      'the column "age" is there twice; send each column once',
    ],
    [
      { dataframe_split: { columns: ['age', 3], data: [[1, 2]] } },
      'column name 1 (counted from 0) is not a string; name every column',
    ],
    [
      { dataframe_split: { columns: ['city'], data: [['a']] } },
      'the column "age" is absent; the model requires it',
    ],
    [
      { dataframe_split: { columns: ['age'], data: [[1], [1, 2]] } },
      'dataframe_split.data, row 1: expected 1 values, one for each column, got 2',
    ],
    [
      { foo: 1 },
      'the body must have exactly one of dataframe_split, dataframe_records, instances, inputs; it has none',
    ],
    [
      { instances: [], inputs: [] },
      'the body must have exactly one of dataframe_split, dataframe_records, instances, inputs; it has instances and inputs',
    ],
    [[ROW], 'the body must be a JSON object, got a list'],
    [null, 'the body must be a JSON object, got null'],
    ['text', 'the body must be a JSON object, got a string'],
  ])('refuses %j', (body, message) => {
    expect(refusal(() => readInvocation(schema, body))).toEqual({ status: 400, message });
  });

  it('refuses more rows than the limit with 413', () => {
    const message =
      'the request has 4 rows, more than the 3 that one request may bring; send several requests, or use batch scoring';
    const rows = [{ age: 1 }, { age: 1 }, { age: 1 }, { age: 1 }];
    expect(refusal(() => readInvocation(schema, { instances: rows }))).toEqual({ status: 413, message });
    expect(refusal(() => readInvocation(schema, { inputs: { age: [1, 2, 3, 4] } })).status).toBe(413);
    expect(read({ instances: rows.slice(1) })[0]).toEqual([1, 1, 1]);
  });

  it('carries no value and no long name back', () => {
    const secret = 'Erika-Mustermann-1964-08-12';
    for (const column of ['age', 'active', 'joined'])
      expect(refusal(() => readInvocation(schema, records({ [column]: secret }))).message).not.toContain(
        'Erika',
      );
    const long = refusal(() => readInvocation(schema, records({ ['k'.repeat(100_000)]: 1 }))).message;
    expect(long.length).toBeLessThan(200);
  });
});

describe('parseJson', () => {
  it.each(['{bad', '{"secret": NaN}', '[1,]', "{'secret': 1}"])('refuses %s without quoting it', (text) => {
    expect(refusal(() => parseJson(text))).toEqual({
      status: 400,
      message:
        'the body is not JSON; check quotes and commas, and write null for a missing value: NaN and Infinity are not JSON',
    });
  });

  it.each(['', '  \n', undefined])('refuses an empty body (%j)', (text) => {
    expect(refusal(() => parseJson(text)).message).toBe('the body is empty; send a JSON object');
  });
});
