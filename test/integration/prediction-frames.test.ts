import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { InputColumn } from '../../lib/onnx/tabular-session.ts';
import { type PredictionFrame, visitFrames } from '../../lib/predictions/frame-reader.ts';
import {
  type FrameLayout,
  type PredictionRecord,
  REASONS,
  ROLES,
  type TruthRecord,
} from '../../lib/predictions/records.ts';
import { Spool } from '../../lib/predictions/spool.ts';
import { samplePoint } from '../../serving/sampling.ts';
import { samplePrediction } from '../support/prediction-samples.ts';

/** Everything in the spool, as a reader of a file sees it. */
function drained(spool: Spool): { frames: PredictionFrame[]; truths: TruthRecord[] } {
  const frames: PredictionFrame[] = [];
  const truths: TruthRecord[] = [];
  for (let block = spool.take(); block; block = spool.take()) {
    const bytes = new Uint8Array(block.buffer.end);
    bytes.set(block.buffer.written());
    visitFrames(bytes, new Map(), {
      prediction: (frame) => frames.push(frame),
      truth: (record) => truths.push(record),
    });
    spool.release(block);
  }
  return { frames, truths };
}

const columnsOf = (record: PredictionRecord, names: readonly string[]): unknown[] =>
  names.flatMap((name) => [...(record.batch.columns.get(name) ?? [])]);

const outputsOf = (record: PredictionRecord, type: string): unknown[] =>
  record.layout.outputs.flatMap((output, i) =>
    output.type === type ? [...(record.outputs.columns[i]?.data ?? [])] : [],
  );

/** What a reader must see of a record. */
const expected = (record: PredictionRecord) => ({
  layout: record.layout,
  at: record.at,
  rows: record.outputs.rows,
  requestId: record.requestId,
  entity: record.entity ?? null,
  insteadOf: record.insteadOf ?? null,
  role: ROLES.indexOf(record.role),
  reason: REASONS.indexOf(record.reason),
  generation: record.generation ?? null,
  latencyMs: record.latencyMs,
  doubles: [...columnsOf(record, record.layout.moments), ...outputsOf(record, 'double')],
  floats: [...columnsOf(record, record.layout.numbers), ...outputsOf(record, 'float')],
  texts: [...columnsOf(record, record.layout.texts), ...outputsOf(record, 'string')],
});

const seen = (frame: PredictionFrame) => ({
  ...frame,
  doubles: [...frame.doubles],
  floats: [...frame.floats],
});

const text = fc.string({ unit: 'grapheme', maxLength: 100 });
const name = fc.string({ minLength: 1, maxLength: 12 });
const layouts: fc.Arbitrary<FrameLayout> = fc
  .record({
    endpoint: name,
    version: name,
    digest: name,
    inputs: fc.uniqueArray(name, { maxLength: 9 }),
    outputs: fc.array(fc.constantFrom('float', 'double', 'string' as const), { minLength: 1, maxLength: 4 }),
  })
  .map(({ inputs, outputs, ...layout }) => ({
    ...layout,
    numbers: inputs.filter((_, i) => i % 3 === 0),
    moments: inputs.filter((_, i) => i % 3 === 1),
    texts: inputs.filter((_, i) => i % 3 === 2),
    outputs: outputs.map((type, i) => ({ name: `o${i}`, type })),
  }));

const recordOf = (layout: FrameLayout): fc.Arbitrary<PredictionRecord> =>
  fc.integer({ min: 1, max: 8 }).chain((rows) => {
    const floats = fc.float32Array({ minLength: rows, maxLength: rows });
    const doubles = fc.float64Array({ minLength: rows, maxLength: rows });
    const texts = fc.array(text, { minLength: rows, maxLength: rows });
    return fc.record({
      layout: fc.constant(layout),
      at: fc.double({ min: 0, max: 4e12, noNaN: true }),
      requestId: fc.stringMatching(/^[\x21-\x7e]{1,200}$/),
      entity: fc.option(fc.stringMatching(/^pe_[0-9a-f]{32}$/), { nil: undefined }),
      role: fc.constantFrom(...ROLES),
      reason: fc.constantFrom(...REASONS),
      insteadOf: fc.option(name, { nil: undefined }),
      generation: fc.option(fc.nat(), { nil: undefined }),
      latencyMs: fc.float({ min: 0, noNaN: true }),
      batch: fc
        .tuple(
          fc.tuple(...layout.numbers.map((column) => floats.map((data) => [column, data] as const))),
          fc.tuple(...layout.moments.map((column) => doubles.map((data) => [column, data] as const))),
          fc.tuple(...layout.texts.map((column) => texts.map((data) => [column, data] as const))),
        )
        .map((kinds) => ({ rows, columns: new Map<string, InputColumn>(kinds.flat()) })),
      outputs: fc
        .tuple(
          ...layout.outputs.map(({ name: output, type }) =>
            type === 'string'
              ? texts.map((data) => ({ name: output, kind: 'string' as const, data }))
              : (type === 'float' ? floats : doubles).map((data) => ({
                  name: output,
                  kind: 'float' as const,
                  data,
                })),
          ),
        )
        .map((columns) => ({ rows, columns })),
    });
  });

describe('frames of the prediction log', () => {
  it('give back what was recorded, whatever it is, in order, over any number of blocks', () => {
    fc.assert(
      fc.property(
        fc
          .array(layouts, { minLength: 1, maxLength: 3 })
          .chain((all) => fc.array(fc.constantFrom(...all).chain(recordOf), { minLength: 1, maxLength: 10 })),
        fc.integer({ min: 1, max: 40 }),
        (records, eighths) => {
          const spool = new Spool({ block: eighths * 512 });
          for (const record of records) expect(spool.addPrediction(record)).toBeUndefined();
          expect(drained(spool).frames.map(seen)).toEqual(records.map(expected));
        },
      ),
      { numRuns: 50 },
    );
  }, 60_000);

  it('give back 100,000 predictions exactly', () => {
    const spool = new Spool();
    let read = 0;
    for (let n = 0; n < 100_000; n++) {
      const record = samplePrediction(n, 1 + (n % 3), { entity: n % 2 === 0 ? `pe_${n}` : undefined });
      if (spool.addPrediction(record)) throw new Error('refused');
      if (n % 1_000 !== 999) continue;
      for (const frame of drained(spool).frames) {
        const again = samplePrediction(read, 1 + (read % 3), {
          entity: read % 2 === 0 ? `pe_${read}` : undefined,
        });
        if (JSON.stringify(seen(frame)) !== JSON.stringify(expected(again)))
          expect(seen(frame)).toEqual(expected(again));
        read += 1;
      }
    }
    expect(read).toBe(100_000);
  }, 60_000);

  it('take packed numbers as they take columns', () => {
    const record = samplePrediction(5, 4);
    const columns = ['age', 'income'].map((column) => record.batch.columns.get(column));
    const numbers = Float32Array.from(columns.flatMap((column) => [...(column ?? [])].map(Number)));
    const spool = new Spool();
    spool.addPrediction({ ...record, batch: { ...record.batch, ...{ numbers } } });
    expect(drained(spool).frames.map(seen)).toEqual([expected(record)]);
  });

  it('are copies: the memory of a request may be used again at once', () => {
    const record = samplePrediction(5, 2);
    const spool = new Spool();
    spool.addPrediction(record);
    for (const column of record.batch.columns.values()) if (ArrayBuffer.isView(column)) column.fill(-1);
    expect(drained(spool).frames.map(seen)).toEqual([expected(samplePrediction(5, 2))]);
  });

  it('carry truth', () => {
    const truth: TruthRecord = {
      endpoint: 'churn',
      requestId: 'a',
      row: 2,
      entity: null,
      observedAt: 1,
      receivedAt: 2.5,
      value: 0.25,
      label: 'Ä',
      metrics: { revenue: 12.3 },
    };
    const spool = new Spool({ block: 512 });
    for (let i = 0; i < 20; i++) expect(spool.addTruth(truth)).toBeUndefined();
    expect(drained(spool).truths).toEqual(Array.from({ length: 20 }, () => truth));
  });
});

describe('the spool', () => {
  it('refuses what its memory does not hold, takes again what was written since, and what is too large never', () => {
    const spool = new Spool({ block: 4_096, memory: 16_384 });
    let taken = 0;
    while (spool.addPrediction(samplePrediction(taken)) === undefined) taken += 1;
    expect(spool.addPrediction(samplePrediction(0))).toBe('memory');
    expect(spool.addPrediction(samplePrediction(0, 2_000))).toBe('size');
    expect(spool.bytes).toBeLessThanOrEqual(16_384);
    expect(drained(spool).frames.map(({ requestId }) => requestId)).toEqual(
      Array.from({ length: taken }, (_, n) => `request-${n}`),
    );
    expect(spool.bytes).toBe(0);
    expect(spool.addPrediction(samplePrediction(0))).toBeUndefined();
  });
});

describe('sampling', () => {
  it('takes the share that is asked for, also of requests that come at an even pace, and one request always', () => {
    const points = Array.from({ length: 100_000 }, (_, n) => samplePoint(3_600_000 + n / 1000));
    for (const share of [0.01, 0.1, 0.5, 0.9])
      expect(Math.abs(points.filter((point) => point < share).length / 100_000 - share)).toBeLessThan(0.01);
    expect(samplePoint(3_600_000 + 7 / 1000)).toBe(points[7]);
    expect(Math.max(...points.slice(0, 1_000))).toBeLessThan(1);
  });
});
