import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ChallengerIncident, ModelSignature } from '../../contracts/serving.ts';
import { emptyEndpoint, withIncident } from '../../domain/endpoint.ts';
import type { ColumnBatch, InputColumn, OutputColumns } from '../../lib/onnx/tabular-session.ts';
import { IncidentDigest } from '../../serving/isolation/incident-digest.ts';
import { invalidRows } from '../../serving/isolation/invalid-rows.ts';
import { packed, unpacked, unpackedOutputs } from '../../serving/isolation/packed-columns.ts';
import { samplePoint } from '../../serving/sampling.ts';
import { stickyPoint } from '../../serving/sticky-point.ts';

const KINDS = ['numeric', 'boolean', 'datetime', 'categorical', 'text'] as const;

const signatureOf = (kinds: readonly (typeof KINDS)[number][]): ModelSignature => ({
  inputs: kinds.map((kind, index) => ({ name: `c${index}`, kind, optional: true })),
  outputs: [
    { name: 'label', kind: 'string' },
    { name: 'probability', kind: 'float' },
  ],
});

const columnOf = (kind: (typeof KINDS)[number], rows: number, seed: number): InputColumn => {
  const values = Array.from({ length: rows }, (_, row) => ((row + 1) * (seed + 3)) % 7);
  if (kind === 'categorical' || kind === 'text') return values.map((value) => (value ? `é${value}` : ''));
  const numbers = values.map((value) => (value === 0 ? Number.NaN : value));
  return kind === 'datetime' ? Float64Array.from(numbers) : Float32Array.from(numbers);
};

describe('packed columns', () => {
  it('come out as they went in, whatever the kinds and their order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...KINDS), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 9 }),
        (kinds, rows) => {
          const signature = signatureOf(kinds);
          const batch: ColumnBatch = {
            rows,
            columns: new Map(kinds.map((kind, index) => [`c${index}`, columnOf(kind, rows, index)])),
          };
          const { numbers, ...rest } = unpacked(packed(batch, signature), signature);
          expect(rest).toEqual(batch);
          // A batch whose numbers are one block already comes out alike.
          expect(unpacked(packed({ ...batch, numbers }, signature), signature)).toEqual({ ...rest, numbers });
        },
      ),
    );
  });

  it.each<[string, Map<string, InputColumn>]>([
    ['an absent column', new Map()],
    ['a column of another length', new Map([['c0', new Float32Array(3)]])],
    ['a column of another type', new Map([['c0', new Float64Array(2)]])],
    ['texts for numbers', new Map([['c0', ['a', 'b']]])],
  ])('refuse %s', (_name, columns) => {
    expect(() => packed({ rows: 2, columns }, signatureOf(['numeric']))).toThrow('column "c0" does not fit');
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['an output less', [['a', 'b']]],
    ['a row more', [['a', 'b'], new Float32Array(3)]],
    ['numbers for labels', [new Float32Array(2), new Float32Array(2)]],
    ['labels that are none', [['a', 1], new Float32Array(2)]],
    ['an object', { length: 2 }],
  ])('do not take %s for outputs', (_name, data) => {
    expect(unpackedOutputs(data, 2, signatureOf([]))).toBeUndefined();
  });

  it('take outputs that the signature promises', () => {
    const probability = Float32Array.of(0.1, 0.2);
    expect(unpackedOutputs([['a', 'b'], probability], 2, signatureOf([]))).toEqual({
      rows: 2,
      columns: [
        { name: 'label', kind: 'string', data: ['a', 'b'] },
        { name: 'probability', kind: 'float', data: probability },
      ],
    });
  });
});

describe('invalidRows', () => {
  const outputs = (labels: string[], values: number[]): OutputColumns => ({
    rows: labels.length,
    columns: [
      { name: 'label', kind: 'string', data: labels },
      { name: 'probability', kind: 'float', data: Float32Array.from(values) },
    ],
  });
  it('counts a row once, whatever is wrong with it', () => {
    expect(invalidRows(outputs(['a', 'b'], [0, 1]))).toBe(0);
    expect(invalidRows(outputs(['a', '', ''], [Number.NaN, 1, -Infinity]))).toBe(3);
    expect(invalidRows(outputs(['', 'a'], [Number.POSITIVE_INFINITY, 1]))).toBe(1);
    expect(invalidRows(outputs([], []))).toBe(0);
  });
});

describe('IncidentDigest', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const incident = { endpoint: 'e', generation: 1, version: '2', role: 'challenger', count: 1 } as const;

  it('tells each kind once a second, with the count and the first reason', () => {
    const told: ChallengerIncident[] = [];
    const digest = new IncidentDigest('s1', (one) => told.push(one));
    for (let i = 0; i < 1_000; i++) digest.failed({ ...incident, kind: 'crash', reason: `reason ${i}` });
    digest.failed({ ...incident, kind: 'deadline', reason: 'x'.repeat(900) });
    digest.failed({ ...incident, generation: 2, kind: 'crash', reason: 'other' });
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1_000);
    expect(told).toMatchObject([
      { serverId: 's1', kind: 'crash', generation: 1, count: 1_000, reason: 'reason 0' },
      { kind: 'deadline', count: 1, reason: 'x'.repeat(500) },
      { kind: 'crash', generation: 2, count: 1 },
    ]);
    vi.advanceTimersByTime(60_000);
    expect(told).toHaveLength(3);
    digest.failed({ ...incident, kind: 'error', reason: 'last' });
    digest.close();
    expect(told.at(-1)).toMatchObject({ kind: 'error', count: 1 });
  });
});

describe('withIncident', () => {
  const incident: ChallengerIncident = {
    serverId: 's1',
    endpoint: 'e',
    generation: 0,
    version: '2',
    role: 'challenger',
    kind: 'crash',
    count: 2,
    reason: 'first',
  };
  it('sums up, puts the latest last, and forgets the oldest', () => {
    let state = emptyEndpoint('e');
    state = withIncident(state, incident, 't1');
    state = withIncident(state, { ...incident, kind: 'deadline' }, 't2');
    state = withIncident(state, { ...incident, reason: 'later' }, 't3');
    expect(state.incidents).toMatchObject([
      { kind: 'deadline', count: 2, at: 't2', lastAt: 't2', stale: false },
      { kind: 'crash', count: 4, at: 't1', lastAt: 't3', stale: false, reason: 'later' },
    ]);
    for (let i = 0; i < 60; i++) state = withIncident(state, { ...incident, version: `v${i}` }, `t${i}`);
    expect(state.incidents).toHaveLength(50);
    expect(state.incidents.at(-1)?.version).toBe('v59');
  });

  it('marks what is about other routes than those in force', () => {
    const { incidents } = withIncident(emptyEndpoint('e'), { ...incident, generation: 3 }, 't');
    expect(incidents).toMatchObject([{ generation: 3, stale: true }]);
  });
});

describe('points', () => {
  it('spread evenly and stay the same', () => {
    const points = Array.from({ length: 10_000 }, (_, i) => samplePoint(5e6 + i / 7));
    for (const share of [0.01, 0.1, 0.5, 0.9]) {
      const below = points.filter((point) => point < share).length / points.length;
      expect(Math.abs(below - share)).toBeLessThan(0.02);
    }
    expect(samplePoint(5e6 + 7 / 7)).toBe(points[7]);
    expect(stickyPoint('a', 'customer')).not.toBe(stickyPoint('b', 'customer'));
  });
});
