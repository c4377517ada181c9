import { describe, expect, it } from 'vitest';
import { type Batch, splitBatch } from '../../src/logging/batch.ts';
import type { WireMetric } from '../../src/logging/metric-wire.ts';

const pairs = (count: number, value = 'v'): { key: string; value: string }[] =>
  Array.from({ length: count }, (_, i) => ({ key: `k${i}`, value }));
const metrics = (count: number): WireMetric[] =>
  Array.from({ length: count }, (_, step) => ({ key: 'm', value: step, timestamp: 0, step }));
const sizes = (batches: Batch[]): number[][] =>
  batches.map((batch) => [batch.params.length, batch.tags.length, batch.metrics.length]);

describe('splitting a batch', () => {
  it('makes no request for nothing', () => {
    expect(splitBatch({ params: [], tags: [], metrics: [] })).toEqual([]);
  });

  it('keeps what fits in one request', () => {
    expect(sizes(splitBatch({ params: pairs(100), tags: pairs(100), metrics: metrics(800) }))).toEqual([
      [100, 100, 800],
    ]);
  });

  it('keeps to each limit of its own', () => {
    expect(sizes(splitBatch({ params: pairs(101), tags: [], metrics: [] }))).toEqual([
      [100, 0, 0],
      [1, 0, 0],
    ]);
    expect(sizes(splitBatch({ params: [], tags: pairs(250), metrics: [] }))).toEqual([
      [0, 100, 0],
      [0, 100, 0],
      [0, 50, 0],
    ]);
    expect(sizes(splitBatch({ params: [], tags: [], metrics: metrics(1001) }))).toEqual([
      [0, 0, 1000],
      [0, 0, 1],
    ]);
  });

  it('keeps to the limit of all together', () => {
    expect(sizes(splitBatch({ params: pairs(100), tags: pairs(100), metrics: metrics(801) }))).toEqual([
      [100, 100, 800],
      [0, 0, 1],
    ]);
  });

  it('keeps every request below a million bytes, umlauts counted', () => {
    const all = {
      params: pairs(100, 'ü'.repeat(6000)),
      tags: pairs(100, 'ß'.repeat(8000)),
      metrics: metrics(10),
    };
    const batches = splitBatch(all);
    expect(batches.length).toBeGreaterThan(2);
    for (const batch of batches) {
      const body = JSON.stringify({ run_id: 'r'.repeat(256), ...batch });
      expect(Buffer.byteLength(body)).toBeLessThanOrEqual(1_000_000);
    }
  });

  it('loses nothing and keeps the order', () => {
    const all = {
      params: pairs(333, 'x'.repeat(5000)),
      tags: pairs(222, 'y'.repeat(7000)),
      metrics: metrics(4321),
    };
    const batches = splitBatch(all);
    expect(batches.flatMap((batch) => batch.params)).toEqual(all.params);
    expect(batches.flatMap((batch) => batch.tags)).toEqual(all.tags);
    expect(batches.flatMap((batch) => batch.metrics)).toEqual(all.metrics);
  });

  it('refuses an entry that fits in no request', () => {
    const limits = { params: 10, tags: 10, metrics: 10, entities: 10, bytes: 600 };
    expect(() => splitBatch({ params: pairs(1, 'x'.repeat(200)), tags: [], metrics: [] }, limits)).toThrow(
      /600 bytes/,
    );
  });
});
