import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import { InputSchema } from '../../serving/input/input-schema.ts';
import { InvocationScanner } from '../../serving/input/invocation-scanner.ts';
import { readInvocation } from '../../serving/input/invocations.ts';
import { JsonBody } from '../../serving/input/json.ts';
import { BYTE } from '../../serving/input/json-bytes.ts';
import { JsonScanner } from '../../serving/input/json-scanner.ts';
import { TensorScanner } from '../../serving/input/tensor-scanner.ts';
import { readTensors } from '../../serving/input/tensors.ts';
import { RequestError } from '../../serving/request-error.ts';
import { inference, invocation, mutate, mutation, numberText, table } from '../support/serving-bodies.ts';

const MIXED: ModelSignature['inputs'] = [
  { name: 'age', kind: 'numeric', optional: false },
  { name: 'größe "x"', kind: 'categorical', optional: true },
  { name: 'active', kind: 'boolean', optional: true },
  { name: 'joined', kind: 'datetime', optional: true },
  { name: 'size', kind: 'numeric', optional: true },
  { name: 'note', kind: 'text', optional: true },
];
const NUMBERS: ModelSignature['inputs'] = ['a', 'b', 'c'].map((name, index) => ({
  name,
  kind: index === 1 ? 'boolean' : 'numeric',
  optional: true,
}));
const PLAIN: ModelSignature['inputs'] = NUMBERS.map((input) => ({ ...input, kind: 'numeric' }));
const ONE: ModelSignature['inputs'] = [{ name: 'x', kind: 'numeric', optional: true }];
const OUTPUTS = ['label', 'probability'];

/** A batch to the last bit. */
function bits({ rows, columns, numbers }: ColumnBatch): unknown {
  const hex = (array: Float32Array | Float64Array): string =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('hex');
  return {
    rows,
    numbers: numbers && hex(numbers),
    columns: [...columns].map(([name, data]) => [
      name,
      Array.isArray(data) ? data : hex(Float64Array.from(data as Float32Array)),
    ]),
  };
}

function refusalOr<T>(act: () => T): T | { refused: string } {
  try {
    return act();
  } catch (error) {
    if (error instanceof RequestError) return { refused: error.message };
    throw error;
  }
}

/** Compares a scanner with its plain reader: what the scanner takes, the reader takes alike. Gives how many it took. */
function compareAll<T>(
  runs: number,
  bodies: fc.Arbitrary<T>,
  bytesOf: (body: T) => Buffer,
  scan: (bytes: Buffer) => unknown,
  read: (value: unknown) => unknown,
): { taken: number; left: number } {
  let taken = 0;
  let left = 0;
  fc.assert(
    fc.property(bodies, (body) => {
      const bytes = bytesOf(body);
      const json = refusalOr(() => JsonBody.of(bytes));
      if (!(json instanceof JsonBody)) return;
      const scanned = scan(bytes);
      const plain = refusalOr(() => read(json.value));
      const sound = typeof plain === 'object' && plain !== null && !('refused' in plain);
      if (scanned !== undefined) {
        taken += 1;
        expect(scanned).toEqual(plain);
      } else if (sound) left += 1;
    }),
    { numRuns: runs, seed: 7 },
  );
  return { taken, left };
}

describe.each([
  ['every kind', MIXED],
  ['numbers and flags', NUMBERS],
  ['numbers', PLAIN],
  ['one number', ONE],
] as const)('scanners for a model of %s', (_name, inputs) => {
  const schema = new InputSchema(inputs, { maxRows: 5 });
  const invocations = new InvocationScanner(schema);
  const tensors = new TensorScanner(schema, OUTPUTS);
  const shapes = fc.integer({ min: 0, max: 8 });
  const scanInvocation = (bytes: Buffer): unknown => {
    const batch = invocations.scan(bytes);
    return batch && bits(batch);
  };
  const readInvocationBits = (value: unknown): unknown => bits(readInvocation(schema, value));
  const scanTensors = (bytes: Buffer): unknown => {
    const read = tensors.scan(bytes, undefined);
    return read && { ...read, batch: bits(read.batch) };
  };
  const readTensorBits = (value: unknown): unknown => {
    const read = readTensors(schema, OUTPUTS, value);
    return { ...read, batch: bits(read.batch) };
  };

  it('read MLflow bodies as the plain reader does', () => {
    const bodies = fc.tuple(table(inputs), shapes);
    const { taken, left } = compareAll(
      500,
      bodies,
      ([rows, shape]) => Buffer.from(invocation(rows, shape)),
      scanInvocation,
      readInvocationBits,
    );
    expect(taken).toBeGreaterThan(25);
    // Sound bodies that are left to the plain reader are rare ones: repeated keys, dates at the edge of time.
    expect(left).toBeLessThan(taken / 4);
  });

  it('read tensors as the plain reader does', () => {
    const bodies = fc.tuple(table(inputs), shapes);
    const { taken, left } = compareAll(
      500,
      bodies,
      ([rows, shape]) => Buffer.from(inference(rows, shape)),
      scanTensors,
      readTensorBits,
    );
    expect(taken).toBeGreaterThan(10);
    expect(left).toBeLessThan(taken / 4);
  });

  it('take no byte more than JSON has', () => {
    const bodies = fc.tuple(table(inputs), shapes, mutation);
    compareAll(
      600,
      bodies,
      ([rows, shape, changes]) => mutate(invocation(rows, shape), changes),
      scanInvocation,
      readInvocationBits,
    );
    compareAll(
      600,
      bodies,
      ([rows, shape, changes]) => mutate(inference(rows, shape), changes),
      scanTensors,
      readTensorBits,
    );
  });
});

describe('JsonScanner', () => {
  const scanner = new JsonScanner();
  const scanned = (text: string): number | undefined => {
    scanner.start(Buffer.from(text));
    try {
      const value = scanner.number();
      scanner.end();
      return value;
    } catch {
      return undefined;
    }
  };
  const parsed = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };

  it('reads numbers as JSON.parse does, and refuses what it refuses', () => {
    fc.assert(
      fc.property(numberText, (text) => {
        expect(scanned(text)).toBe(parsed(text));
      }),
      { numRuns: 6_000, seed: 7 },
    );
  });

  it('reads runs of numbers to the same float32', () => {
    fc.assert(
      fc.property(
        fc.array(
          numberText.filter((text) => typeof parsed(text) === 'number'),
          { minLength: 1, maxLength: 8 },
        ),
        (texts) => {
          const found = new Float64Array(texts.length);
          scanner.start(Buffer.from(`${texts.join(', ')}]`));
          for (let read = 0; ; scanner.take(BYTE.comma)) {
            const run = scanner.numberRun(found, read, 1, texts.length - read);
            read += run;
            // What a run leaves has an exponent, or very many digits.
            if (run === 0) {
              expect(texts[read]).toMatch(/e|\d{10}/i);
              scanner.numberInto(found, read++, true);
            }
            if (read === texts.length) break;
          }
          const expected = texts.map((text) => Number(text));
          expect(Float32Array.from(found)).toEqual(Float32Array.from(expected));
          // The range is checked on the double: at the edge of float32 it must be the exact one.
          expect(Array.from(found, (value) => Math.abs(value) > 3.4028234663852886e38)).toEqual(
            expected.map((value) => Math.abs(value) > 3.4028234663852886e38),
          );
        },
      ),
      { numRuns: 1_500, seed: 7 },
    );
  });

  it('passes over any depth', () => {
    const deep = '['.repeat(200_000);
    for (const text of [deep, deep + ']'.repeat(200_000), '{"a":'.repeat(50_000)]) {
      scanner.start(Buffer.from(text));
      expect(() => {
        scanner.value();
        throw new TypeError('was read');
      }).toThrow(/scanner|was read/);
    }
  });
});
