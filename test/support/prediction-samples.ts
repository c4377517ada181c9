import type { FrameLayout, PredictionRecord } from '../../lib/predictions/records.ts';

export const DIGEST = 'd'.repeat(64);

/** Two numbers, a moment, a text; a label and a probability. */
export const SAMPLE_LAYOUT: FrameLayout = {
  endpoint: 'churn',
  version: '3',
  digest: DIGEST,
  numbers: ['age', 'income'],
  moments: ['joined'],
  texts: ['city'],
  outputs: [
    { name: 'label', type: 'string' },
    { name: 'probability', type: 'float' },
  ],
};

/** A record of `rows` rows, whose values follow from `n` and the row. */
export function samplePrediction(
  n: number,
  rows = 1,
  others: Partial<PredictionRecord> = {},
): PredictionRecord {
  const each = <T>(value: (row: number) => T): T[] => Array.from({ length: rows }, (_, row) => value(row));
  return {
    layout: SAMPLE_LAYOUT,
    at: Date.UTC(2026, 10, 20, 12) + n,
    requestId: `request-${n}`,
    entity: undefined,
    role: 'champion',
    reason: 'sole',
    insteadOf: undefined,
    generation: 7,
    latencyMs: 0.5,
    batch: {
      rows,
      columns: new Map<string, Float32Array | Float64Array | string[]>([
        ['age', Float32Array.from(each((row) => n + row / 4))],
        ['income', Float32Array.from(each((row) => (row % 2 === 1 ? Number.NaN : n * 2)))],
        ['joined', Float64Array.from(each((row) => 1.7e9 + n + row))],
        ['city', each((row) => (row % 3 === 2 ? '' : `Köln ${row}`))],
      ]),
    },
    outputs: {
      rows,
      columns: [
        { name: 'label', kind: 'string', data: each((row) => (row % 2 === 0 ? 'yes' : 'no')) },
        { name: 'probability', kind: 'float', data: Float32Array.from(each((row) => (n + row) / 1_000_003)) },
      ],
    },
    ...others,
  };
}
