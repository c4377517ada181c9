import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelInput } from '../../contracts/serving.ts';
import { NUMBER_SIZES } from '../../serving/input/datatypes.ts';
import { keyOfDate, keyOfFlag, keyOfLiteral, keyOfValue } from '../../serving/input/entity-key.ts';
import { InputSchema } from '../../serving/input/input-schema.ts';
import { InvocationScanner } from '../../serving/input/invocation-scanner.ts';
import { readInvocation } from '../../serving/input/invocations.ts';
import type { RequestRows } from '../../serving/input/key-columns.ts';
import { TensorScanner } from '../../serving/input/tensor-scanner.ts';
import { readTensors } from '../../serving/input/tensors.ts';
import { RequestError } from '../../serving/request-error.ts';

const input = (name: string, kind: ModelInput['kind'], optional = true): ModelInput => ({
  name,
  kind,
  optional,
});
const INPUTS = [
  input('amount', 'numeric', false),
  input('account', 'numeric'),
  input('city', 'categorical'),
  input('active', 'boolean'),
  input('day', 'datetime'),
];
/** Two that the model does not have, and all kinds that it has. */
const ENTITIES = ['customer', 'account', 'city', 'active', 'day', 'shop', 'customer'];
const schema = new InputSchema(INPUTS, { maxRows: 100 }, ENTITIES);
const OUTPUTS = ['prediction'];

/** Keys and numbers, as far as they say which rows these are. */
const told = ({ rows, keys, numbers, columns }: RequestRows): unknown => ({
  rows,
  keys: [...(keys ?? [])],
  numbers: [...(numbers ?? [])],
  city: columns.get('city'),
  day: [...(columns.get('day') ?? [])],
});

function refusalOr<T>(act: () => T): T | { refused: string } {
  try {
    return act();
  } catch (error) {
    if (error instanceof RequestError) return { refused: error.message };
    throw error;
  }
}

describe('the text of a key', () => {
  it.each([
    ['ann', 'ann'],
    ['', undefined],
    [null, undefined],
    [17, '17'],
    [-3, '-3'],
    [-0, '0'],
    [17.0, '17'],
    [true, 'true'],
    [false, 'false'],
    [2n ** 63n, '9223372036854775808'],
    [Number.NaN, undefined],
  ])('of %s is %s', (value, key) => expect(keyOfValue(value)).toEqual({ key }));

  it.each([1.5, 2 ** 53, -(2 ** 53), Infinity, 'x'.repeat(501), '\ud800', [1], {}])(
    'is not there for %j',
    (value) => expect(keyOfValue(value)).toHaveProperty('problem'),
  );

  it.each([
    ['9007199254740993', '9007199254740993'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['18446744073709551615', '18446744073709551615'],
    ['-0', '0'],
    ['1e3', '1000'],
    ['12.0', '12'],
  ])('of the number %s is %s', (literal, key) => expect(keyOfLiteral(literal)).toEqual({ key }));

  it.each(['18446744073709551616', '-9223372036854775809', '1e300', '0.5', '9007199254740993.0'])(
    'is not there for the number %s',
    (literal) => expect(keyOfLiteral(literal)).toHaveProperty('problem'),
  );

  it('is no rounded number', () => {
    expect(keyOfLiteral('16777215', 'FP32')).toEqual({ key: '16777215' });
    expect(keyOfLiteral('16777216', 'FP32')).toHaveProperty('problem');
    expect(keyOfLiteral('9007199254740993', 'FP32')).toHaveProperty('problem');
    expect(keyOfValue(2048, 'FP16')).toHaveProperty('problem');
    expect(keyOfValue(256, 'BF16')).toHaveProperty('problem');
    expect(keyOfValue(2 ** 40, 'FP64')).toEqual({ key: String(2 ** 40) });
  });

  it('of flags and dates', () => {
    expect([0, 1, Number.NaN].map(keyOfFlag)).toEqual([
      { key: 'false' },
      { key: 'true' },
      { key: undefined },
    ]);
    expect(keyOfFlag(2)).toHaveProperty('problem');
    expect(keyOfDate(86_400)).toEqual({ key: '1970-01-02' });
    expect(keyOfDate(-62_135_596_800)).toEqual({ key: '0001-01-01' });
    expect(keyOfDate(1)).toHaveProperty('problem');
  });
});

const literals = fc.oneof(
  fc.constantFrom('null', 'true', 'false', '""', '17', '-0', '1.5', '17.0', '1e2', '16777217', '[1]', '{}'),
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.integer().map(String),
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => JSON.stringify(text)),
);
const NAMES = ['amount', 'account', 'city', 'active', 'day', 'customer', 'shop'];
const cell = (name: string): fc.Arbitrary<string> => {
  const own: Record<string, fc.Arbitrary<string>> = {
    amount: fc.constantFrom('1', '2.5'),
    account: fc.oneof(fc.constantFrom('null', '17', '16777217', '9007199254740993', '1.5'), literals),
    city: fc.constantFrom('"Ulm"', '""', 'null'),
    active: fc.constantFrom('true', '0', 'null'),
    day: fc.constantFrom('"2025-03-01"', 'null', '86400', '"2025-03-01T12:00:00Z"'),
  };
  return own[name] ?? literals;
};
/** Some columns, the required one among them, in any order. */
const tables = fc
  .tuple(fc.shuffledSubarray(NAMES.slice(1)), fc.integer({ min: 1, max: 3 }), fc.nat())
  .chain(([others, rows, place]) => {
    const names = [...others];
    names.splice(place % (names.length + 1), 0, 'amount');
    return fc.record({
      names: fc.constant(names),
      rows: fc.array(fc.tuple(...names.map(cell)), { minLength: rows, maxLength: rows }),
    });
  });
type Table = { names: string[]; rows: string[][] };

const list = (values: readonly string[]): string => `[${values.join(', ')}]`;
const quoted = (names: readonly string[]): string => list(names.map((name) => JSON.stringify(name)));
const object = (names: readonly string[], values: readonly string[]): string =>
  `{${names.map((name, at) => `${JSON.stringify(name)}: ${values[at]}`).join(',')}}`;
const columnsOf = ({ names, rows }: Table): string[] =>
  names.map((_, at) => list(rows.map((row) => row[at] ?? '')));

const SHAPES: ((table: Table) => string)[] = [
  ({ names, rows }) => `{"dataframe_split": {"columns": ${quoted(names)}, "data": ${list(rows.map(list))}}}`,
  ({ names, rows }) => `{"dataframe_split": {"data": ${list(rows.map(list))}, "columns": ${quoted(names)}}}`,
  ({ names, rows }) => `{"dataframe_records": ${list(rows.map((row) => object(names, row)))}}`,
  ({ names, rows }) => `{"instances": ${list(rows.map((row) => object(names, row)))}}`,
  (table) => `{"inputs": ${object(table.names, columnsOf(table))}}`,
];

/** What the scanner and the plain reader make of a body; the latter knows whole numbers below 2^53 only. */
function compare(
  text: string,
  scan: (bytes: Buffer) => RequestRows | undefined,
  read: (value: unknown) => RequestRows,
): 'both' | 'neither' | 'scanner' {
  const scanned = scan(Buffer.from(text));
  const plain = refusalOr(() => read(JSON.parse(text)));
  if ('refused' in plain) {
    if (!scanned) return 'neither';
    // Beyond what JSON.parse can tell.
    expect(plain.refused).toContain('too large to be told exactly');
    expect(text).toMatch(/\d{16}/);
    return 'scanner';
  }
  expect(scanned && told(scanned)).toEqual(told(plain));
  return 'both';
}

describe('keys of requests', () => {
  it('are read alike by the scanner and the plain reader, in all shapes', () => {
    const scanner = new InvocationScanner(schema);
    const seen = { both: 0, neither: 0, scanner: 0 };
    fc.assert(
      fc.property(tables, fc.constantFrom(...SHAPES), (table, shape) => {
        seen[
          compare(
            shape(table),
            (bytes) => scanner.scan(bytes),
            (value) => readInvocation(schema, value),
          )
        ] += 1;
      }),
      { numRuns: 3_000, seed: 7 },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(50);
  });

  it('are the same in tensors', () => {
    const scanner = new TensorScanner(schema, OUTPUTS);
    const datatypes = fc.constantFrom('BYTES', 'INT64', 'BOOL', 'FP64', 'UINT8', 'FP32');
    const seen = { both: 0, neither: 0, scanner: 0 };
    fc.assert(
      fc.property(tables, fc.array(datatypes, { minLength: 7, maxLength: 7 }), (table, types) => {
        const columns = columnsOf(table);
        const usual: Record<string, string> = { amount: 'FP32', city: 'BYTES', active: 'BOOL', day: 'BYTES' };
        const tensors = table.names.map(
          (name, at) =>
            `{"name": "${name}", "datatype": "${usual[name] ?? types[at]}", "shape": [${table.rows.length}], "data": ${columns[at]}}`,
        );
        seen[
          compare(
            `{"inputs": ${list(tensors)}}`,
            (bytes) => scanner.scan(bytes, undefined)?.batch,
            (value) => readTensors(schema, OUTPUTS, value).batch,
          )
        ] += 1;
      }),
      { numRuns: 3_000, seed: 7 },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
  });

  it('are exact in binary tensors, by both readers', () => {
    const scanner = new TensorScanner(schema, OUTPUTS);
    const read = (datatype: string, bytes: Buffer, rows: number, name = 'customer'): unknown => {
      const tensors = [
        { name: 'amount', datatype: 'FP32', shape: [rows], parameters: { binary_data_size: 4 * rows } },
        { name, datatype, shape: [rows], parameters: { binary_data_size: bytes.length } },
      ];
      const body = Buffer.concat([Buffer.alloc(4 * rows), bytes]);
      const json = JSON.stringify({ inputs: tensors });
      const scanned = scanner.scan(Buffer.from(json), body)?.batch;
      const plain = refusalOr(() => readTensors(schema, OUTPUTS, JSON.parse(json), body).batch);
      if ('refused' in plain) {
        expect(scanned).toBeUndefined();
        return plain.refused;
      }
      expect(scanned && told(scanned)).toEqual(told(plain));
      return plain.keys?.get(name);
    };
    const whole = (values: bigint[]): Buffer => Buffer.from(BigInt64Array.from(values).buffer);
    const exact = [2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n];
    expect(read('INT64', whole(exact), 3)).toEqual(exact.map(String));
    expect(read('UINT64', whole(exact.slice(1)), 2)).toEqual(['9223372036854775808', '9223372036854775807']);
    expect(read('INT64', whole([2n ** 53n + 1n]), 1, 'account')).toEqual(['9007199254740993']);
    expect(read('INT32', Buffer.from(Int32Array.of(-7, 7).buffer), 2)).toEqual(['-7', '7']);
    expect(read('UINT8', Buffer.of(7, 255), 2)).toEqual(['7', '255']);
    expect(read('BOOL', Buffer.of(1, 0), 2)).toEqual(['true', 'false']);
    expect(read('BOOL', Buffer.of(2), 1)).toContain('column "customer"');
    expect(read('FP64', Buffer.from(Float64Array.of(17, Number.NaN).buffer), 2)).toEqual(['17', undefined]);
    expect(read('FP32', Buffer.from(Float32Array.of(17).buffer), 1, 'account')).toEqual(['17']);
    expect(read('FP32', Buffer.from(Float32Array.of(16777217).buffer), 1, 'account')).toContain('INT64');
    expect(read('FP32', Buffer.from(Float32Array.of(17).buffer), 1)).toContain('datatype must be');
    const texts = ['ann', '', 'größe'].map((text) => Buffer.from(text));
    const bytes = Buffer.concat(
      texts.flatMap((text) => {
        const length = Buffer.alloc(4);
        length.writeUInt32LE(text.length);
        return [length, text];
      }),
    );
    expect(read('BYTES', bytes, 3)).toEqual(['ann', undefined, 'größe']);
    expect(NUMBER_SIZES.INT64).toBe(8);
  });

  it('of one request are not those of the next', () => {
    const scanner = new InvocationScanner(schema);
    const read = (text: string): unknown => scanner.scan(Buffer.from(text))?.keys?.get('customer');
    expect(read('{"inputs": {"amount": [1, 2], "customer": ["ann", "bob"]}}')).toEqual(['ann', 'bob']);
    expect(read('{"inputs": {"amount": [1, 2]}}')).toEqual([undefined, undefined]);
    expect(read('{"dataframe_records": [{"amount": 1}, {"amount": 1, "customer": "eve"}]}')).toEqual([
      undefined,
      'eve',
    ]);
    expect(read('{"instances": [[1, 17, "Ulm", true, null]]}')).toEqual([undefined]);
  });

  it('stand nowhere for a model without views', () => {
    const plain = new InputSchema(INPUTS);
    expect(plain.keys).toBeUndefined();
    expect(refusalOr(() => readInvocation(plain, { inputs: { amount: 1, customer: 'ann' } }))).toHaveProperty(
      'refused',
    );
  });
});
