import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelInput } from '../../contracts/serving.ts';
import { readEnvelope } from '../../serving/input/envelope.ts';
import { InputSchema } from '../../serving/input/input-schema.ts';
import { JsonBody } from '../../serving/input/json.ts';
import { TensorScanner } from '../../serving/input/tensor-scanner.ts';
import { readTensors } from '../../serving/input/tensors.ts';
import { RequestError } from '../../serving/request-error.ts';

const MIXED: ModelInput[] = [
  { name: 'age', kind: 'numeric', optional: true },
  { name: 'city', kind: 'categorical', optional: true },
  { name: 'active', kind: 'boolean', optional: true },
  { name: 'joined', kind: 'datetime', optional: true },
];
const NUMBERS: ModelInput[] = ['a', 'b'].map((name) => ({ name, kind: 'numeric', optional: true }));
const OUTPUTS = ['label'];

function refusalOr<T>(act: () => T): T | string {
  try {
    return act();
  } catch (error) {
    if (error instanceof RequestError) return error.message;
    throw error;
  }
}

/** A request with one binary tensor, read by the scanner where it takes it, and by the plain reader. */
function readBoth(inputs: ModelInput[], tensor: object, bytes: Buffer): { scanned: unknown; plain: unknown } {
  const schema = new InputSchema(inputs, { maxRows: 200 });
  const value = { inputs: [{ ...tensor, parameters: { binary_data_size: bytes.length } }] };
  const json = Buffer.from(JSON.stringify(value));
  const lists = (read: { batch: { columns: ReadonlyMap<string, unknown> } } | undefined): unknown =>
    read && [...read.batch.columns];
  return {
    scanned: lists(new TensorScanner(schema, OUTPUTS).scan(json, bytes)),
    plain: refusalOr(() => lists(readTensors(schema, OUTPUTS, value, bytes))),
  };
}

describe('binary tensors', () => {
  it.each([
    ['age', 'FP32', '0000c03f', 1.5],
    ['age', 'FP64', '000000000000f83f', 1.5],
    ['age', 'FP16', '003e', 1.5],
    ['age', 'FP16', '0100', 2 ** -24],
    ['age', 'BF16', 'c03f', 1.5],
    ['age', 'INT8', 'fe', -2],
    ['age', 'INT16', 'feff', -2],
    ['age', 'INT32', 'feffffff', -2],
    ['age', 'INT64', 'feffffffffffffff', -2],
    ['age', 'UINT8', 'fe', 254],
    ['age', 'UINT16', 'feff', 65_534],
    ['age', 'UINT32', 'feffffff', 4_294_967_294],
    ['age', 'UINT64', '0200000000000000', 2],
    ['age', 'FP32', '0000c07f', Number.NaN],
    ['active', 'BOOL', '01', 1],
    ['joined', 'INT64', '00f1536500000000', 1_700_000_000],
    ['joined', 'BYTES', '0a000000313937302d30312d3032', 86_400],
    ['city', 'BYTES', '03000000556c6d', 'Ulm'],
  ])('reads %s from %s %s', (name, datatype, hex, expected) => {
    const { scanned, plain } = readBoth(MIXED, { name, datatype, shape: [1] }, Buffer.from(hex, 'hex'));
    expect(scanned).toEqual(plain);
    const column = new Map(scanned as [string, ArrayLike<unknown>][]).get(name);
    const value = column?.[0];
    expect(value).toEqual(
      typeof expected === 'number' ? (Math.fround(expected) === value ? value : expected) : expected,
    );
  });

  it('are read alike by scanner and plain reader, whatever their bytes', () => {
    const matrix = fc.record({
      rows: fc.integer({ min: 1, max: 80 }),
      seed: fc.uint8Array({ minLength: 8, maxLength: 32 }),
      datatype: fc.constantFrom('FP32', 'FP64', 'FP16', 'INT64'),
    });
    fc.assert(
      fc.property(matrix, ({ rows, seed, datatype }) => {
        const width = { FP32: 4, FP64: 8, FP16: 2, INT64: 8 }[datatype] ?? 0;
        const bytes = Buffer.alloc(rows * 2 * width, seed);
        const { scanned, plain } = readBoth(NUMBERS, { name: 'input-0', datatype, shape: [rows, 2] }, bytes);
        if (scanned !== undefined) expect(scanned).toEqual(plain);
        else expect(plain).toContain('too large for a 32-bit float');
      }),
      { numRuns: 300, seed: 7 },
    );
  });

  it.each<[object, string, string]>([
    [
      { name: 'age', datatype: 'FP32', shape: [2] },
      '00000000',
      'the tensor "age": its shape says 2 values of 4 bytes, binary_data_size is 4',
    ],
    [{ name: 'city', datatype: 'BYTES', shape: [1] }, '0400000041', 'an element is longer than the tensor'],
    [
      { name: 'city', datatype: 'BYTES', shape: [1] },
      '01000000ff',
      'the tensor "city": element 0 is not UTF-8',
    ],
    [{ name: 'city', datatype: 'BYTES', shape: [2] }, '0100000041', 'its shape says 2 elements'],
    [
      { name: 'active', datatype: 'BOOL', shape: [1] },
      '02',
      'row 0, column "active": expected true or false, got another number',
    ],
    [
      { name: 'age', datatype: 'FP32', shape: [1], data: [1] },
      '00000000',
      'the tensor "age" has both data and binary_data_size; send one of them',
    ],
  ])('refuses %j with the bytes %s', (tensor, hex, message) => {
    const { scanned, plain } = readBoth(MIXED, tensor, Buffer.from(hex, 'hex'));
    expect(scanned).toBeUndefined();
    expect(plain).toContain(message);
  });
});

describe('readEnvelope', () => {
  const read = (text: string, protocol: 'v2' | 'mlflow' = 'v2') =>
    refusalOr(() => readEnvelope(JsonBody.of(Buffer.from(text)), protocol));

  it.each([
    ['{"inputs":[]}', undefined, undefined],
    ['{"id":"7","inputs":[{"name":"x"}]}', '7', undefined],
    ['{"inputs":[["]",{"id":"no"}]],"parameters":{"entity":"anna"},"id":"7"}', '7', 'anna'],
    ['{"inputs":[],"parameters":{"\\u0065ntity":"anna"}}', undefined, 'anna'],
    ['{"inputs":[],"par\\u0061meters":{"\\u0065ntity":"anna"}}', undefined, 'anna'],
    ['{"id":"7","id":"8"}', '8', undefined],
    ['{"inputs":[{"id":"no","parameters":{"entity":"no"}}]}', undefined, undefined],
  ])('finds id and entity of %s', (text, id, entity) => {
    expect(read(text)).toEqual({ id, entity });
  });

  it('reads the params of MLflow, and refuses keys that are no text', () => {
    expect(read('{"params":{"entity":"anna"},"id":"7"}', 'mlflow')).toEqual({
      id: undefined,
      entity: 'anna',
    });
    expect(read('{"params":{"entity":7}}', 'mlflow')).toBe(
      'params.entity must be a string, got a number; send the key as text',
    );
    expect(read('{"parameters":{"entity":""}}')).toBe('parameters.entity must have 1 to 500 characters');
  });
});
