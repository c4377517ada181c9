import { describe, expect, it } from 'vitest';
import { PerennialError } from '../../contracts/errors.ts';
import {
  MAX_LABELS,
  SKETCH_BUCKETS,
  type TrafficReport,
  versionTraffic,
} from '../../contracts/rollout-evidence.ts';
import { type RouteTable, routeTable } from '../../contracts/serving.ts';
import { boundedLabels } from '../../domain/rollout/label-counts.ts';
import { sketchCount, sketchQuantile } from '../../domain/rollout/sketch.ts';
import type { OutputColumns } from '../../lib/onnx/tabular-session.ts';
import { championFailing } from '../../serving/evidence/champion-failing.ts';
import { noTraffic, trafficSum } from '../../serving/evidence/traffic-sum.ts';
import { COUNTED_OUTPUTS, COUNTED_ROWS, VersionCounts } from '../../serving/evidence/version-counts.ts';
import { EvidenceSum, type WatchedMember } from '../../serving/process/evidence-sum.ts';
import { RequestError } from '../../serving/request-error.ts';

const numbers = (data: readonly number[], name = 'prediction'): OutputColumns => ({
  rows: data.length,
  columns: [{ name, kind: 'float', data: Float64Array.from(data) }],
});
const labels = (data: readonly string[]): OutputColumns => ({
  rows: data.length,
  columns: [{ name: 'label', kind: 'string', data }],
});
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('the counts of a version', () => {
  it('are those of its answers and failures', () => {
    const counts = new VersionCounts('1', 'champion');
    counts.answered(numbers([1, 2, 3]), 10);
    counts.answered(numbers([4]), 20);
    counts.failed('error', 2, 5);
    counts.failed('error', 1, 5);
    counts.failed('overload', 1, undefined);
    const traffic = versionTraffic.parse(counts.traffic());
    expect(traffic).toMatchObject({
      version: '1',
      role: 'champion',
      requests: 5,
      rows: 8,
      failures: { error: 2, overload: 1 },
    });
    expect(sketchCount(traffic.latency)).toBe(4);
    expect(traffic.numbers.prediction && sketchCount(traffic.numbers.prediction)).toBe(4);
    expect(traffic.numbers.prediction && sketchQuantile(traffic.numbers.prediction, 1)).toBeCloseTo(4, 0);
  });

  it('are a copy: what is counted later is not in it', () => {
    const counts = new VersionCounts('1', 'champion');
    counts.answered(numbers([1]), 10);
    const before = structuredClone(counts.traffic());
    const kept = counts.traffic();
    counts.answered(numbers([1]), 10);
    expect(kept).toEqual(before);
  });

  it('take a row of each part of a large request, wherever in it', () => {
    const rows = range(1_024);
    for (const random of [() => 0, () => 0.999_999]) {
      const counts = new VersionCounts('1', 'champion');
      const label = (row: number): string => String(Math.floor((row * COUNTED_ROWS) / rows.length));
      counts.answered(labels(rows.map(label)), 1, random);
      const counted = counts.traffic().labels.label ?? {};
      expect(Object.keys(counted)).toHaveLength(COUNTED_ROWS);
      expect(Object.values(counted).every((count) => count === 1)).toBe(true);
      expect(counts.traffic().rows).toBe(1_024);
    }
  });

  it('stay small, whatever is answered', () => {
    const counts = new VersionCounts('1', 'champion');
    for (const part of range(300)) counts.answered(labels(range(10).map((i) => `label-${part * 10 + i}`)), 1);
    for (let exponent = -9; exponent < 38; exponent += 0.02)
      counts.answered(numbers([10 ** exponent, -(10 ** exponent)]), 1);
    const wide = {
      rows: 1,
      columns: range(80).map(
        (i) => ({ name: `p${i}`, kind: 'float', data: new Float32Array([0.5]) }) as const,
      ),
    };
    counts.answered(wide, 1);
    const { labels: named, numbers: sketches } = versionTraffic.parse(counts.traffic());
    expect(Object.keys(named.label ?? {})).toHaveLength(MAX_LABELS + 1);
    expect(Object.values(named.label ?? {}).reduce((sum, count) => sum + count, 0)).toBe(3_000);
    const { prediction } = sketches;
    expect(Object.keys(prediction?.positive ?? {}).length).toBeLessThanOrEqual(SKETCH_BUCKETS);
    expect(Object.keys(prediction?.negative ?? {}).length).toBeLessThanOrEqual(SKETCH_BUCKETS);
    expect(Object.keys(sketches)).toHaveLength(1 + COUNTED_OUTPUTS);
    expect(JSON.stringify(counts.traffic()).length).toBeLessThan(50_000);
  });

  it('have labels of any name', () => {
    const counts = new VersionCounts('1', 'champion');
    counts.answered(labels(['__proto__', 'constructor', 'yes']), 1);
    expect(Object.entries(counts.traffic().labels.label ?? {})).toEqual([
      ['__proto__', 1],
      ['constructor', 1],
      ['yes', 1],
    ]);
  });
});

describe('sums of labels', () => {
  it('are cut by letters, so that a sum of cut ones is the cut of the sum', () => {
    const all = (from: number, to: number): Record<string, number> =>
      Object.fromEntries(range(to - from).map((i) => [`l${1_000 + from + i}`, 2]));
    const [a, b] = [all(0, 150), all(60, 260)];
    const both: Record<string, number> = { ...a };
    for (const [label, count] of Object.entries(b)) both[label] = (both[label] ?? 0) + count;
    const one = { ...noTraffic('1', 'champion'), labels: { label: boundedLabels(a) } };
    const other = { ...noTraffic('1', 'champion'), labels: { label: boundedLabels(b) } };
    expect(trafficSum([[one], [other]])[0]?.labels.label).toEqual(boundedLabels(both));
  });
});

describe('the sum over processes', () => {
  const table = (generation: number): RouteTable =>
    routeTable.parse({
      endpoint: 'churn',
      generation,
      routes: [
        {
          model: {
            version: '1',
            onnx: {
              uri: `cas:${'0'.repeat(64)}`,
              sha256: '0'.repeat(64),
              bytes: 1,
              mediaType: 'application/onnx',
            },
            signature: { inputs: [], outputs: [] },
          },
          weight: 100,
        },
      ],
    });
  class Member implements WatchedMember {
    said: TrafficReport | undefined;
    say(requests: number, generation = 1): this {
      const versions = [{ ...noTraffic('1', 'champion'), requests }];
      this.said = { serverId: 's', epoch: 'own', generation, versions };
      return this;
    }
    async traffic(): Promise<unknown> {
      if (!this.said) throw new Error('too slow');
      return this.said;
    }
  }
  const requests = ({ versions }: TrafficReport): number[] => versions.map((one) => one.requests);

  it('never falls while the generation stays', async () => {
    const sum = new EvidenceSum('s');
    const [a, b] = [new Member().say(3), new Member().say(4)];
    const first = await sum.collect('churn', table(1), [a, b]);
    expect(requests(first)).toEqual([7]);
    // One that does not answer counts as it last did; one that ended as well, once.
    a.said = undefined;
    expect(requests(await sum.collect('churn', table(1), [a, b.say(5)]))).toEqual([8]);
    sum.ended(a);
    expect(requests(await sum.collect('churn', table(1), [b.say(6)]))).toEqual([9]);
    const c = new Member().say(1);
    expect(requests(await sum.collect('churn', table(1), [b, c]))).toEqual([10]);
    sum.ended(b);
    sum.ended(c);
    const last = await sum.collect('churn', table(1), []);
    expect(requests(last)).toEqual([10]);
    expect(last.epoch).toBe(first.epoch);
    expect(new EvidenceSum('s')).not.toHaveProperty('epoch', first.epoch);
  });

  it('begins anew with a generation, though not all processes have it yet', async () => {
    const sum = new EvidenceSum('s');
    const [a, b] = [new Member().say(3), new Member().say(4)];
    await sum.collect('churn', table(1), [a, b]);
    sum.ended(a);
    const next = await sum.collect('churn', table(2), [b]);
    expect(next).toMatchObject({ generation: 2, versions: [{ version: '1', requests: 0 }] });
    expect(requests(await sum.collect('churn', table(2), [b.say(1, 2)]))).toEqual([1]);
    expect(await sum.collect('nothing', undefined, [])).toMatchObject({ generation: 0, versions: [] });
  });
});

describe('a failure of the champion', () => {
  const limits = { deadlineMs: 1_000 };
  const call = (timeoutMs?: number) => ({ timeoutMs });
  it.each([
    ['error', new PerennialError('ModelInvalid', 'it failed')],
    ['error', new TypeError('a mistake of ours')],
    ['overload', new RequestError(503, 'full', 1, 'queue')],
    ['deadline', new RequestError(503, 'late', 1, 'deadline')],
    [undefined, new RequestError(400, 'no such column')],
  ])('is %s', (kind, error) => {
    expect(championFailing(error, call(), limits)).toBe(kind);
  });

  it('is none where the client gave less time than the endpoint', () => {
    const late = new RequestError(503, 'late', 1, 'deadline');
    expect(championFailing(late, call(10), limits)).toBeUndefined();
    expect(championFailing(late, call(2_000), limits)).toBe('deadline');
  });
});
