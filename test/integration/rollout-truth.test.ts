import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TruthQuestion } from '../../contracts/activities.ts';
import type { Feedback } from '../../contracts/feedback.ts';
import type { Moments, TruthReport } from '../../contracts/rollout-evidence.ts';
import { truthReport } from '../../contracts/rollout-evidence.ts';
import { logKey } from '../../lib/predictions/log-key.ts';
import type { FrameLayout, PredictionRecord } from '../../lib/predictions/records.ts';
import { rolloutTruth } from '../../lib/predictions/rollout-truth.ts';
import { serverFolder } from '../../lib/predictions/segments.ts';
import { segmentsFolder } from '../../lib/predictions/settings.ts';
import { Spool } from '../../lib/predictions/spool.ts';
import { truthOf } from '../../lib/predictions/truth.ts';
import { createPredictionLog } from '../../serving/log/prediction-log.ts';
import { SegmentLog } from '../../serving/log/segment-log.ts';
import { ModelServer } from '../../serving/server.ts';
import { PredictionLogFixture, quiet } from '../support/prediction-log-fixture.ts';
import { plusModel } from './serving-models.ts';

const HOUR = 3_600_000;
const START = Math.floor(Date.now() / 1_000) * 1_000 - 2 * HOUR;
const iso = (at: number): string => new Date(at).toISOString();

let fixture: PredictionLogFixture;
let recorder: Recorder;
beforeEach(async () => {
  fixture = await PredictionLogFixture.create();
  recorder = new Recorder();
});
afterEach(async () => {
  await recorder.close();
  await fixture.close();
});

type Outputs = Readonly<Record<string, readonly (number | string)[]>>;

/** Writes records into segments as a server does. */
class Recorder {
  readonly #spool = new Spool();
  readonly #layouts = new Map<string, FrameLayout>();
  readonly #log = new SegmentLog(this.#spool, {
    folder: segmentsFolder(fixture.config),
    serverId: 'server-1',
    key: () => logKey(fixture.config, fixture.store.keyring),
  });

  predict(
    version: string,
    requestId: string,
    at: number,
    outputs: Outputs,
    more: Partial<Pick<PredictionRecord, 'role' | 'reason' | 'insteadOf'>> = {},
  ): void {
    const rows = Object.values(outputs)[0]?.length ?? 0;
    const columns = Object.entries(outputs).map(([name, data]) =>
      data.every((value) => typeof value === 'string')
        ? ({ name, kind: 'string', data: data.map(String) } as const)
        : ({ name, kind: 'float', data: Float32Array.from(data, Number) } as const),
    );
    const layout = this.#layouts.get(version) ?? {
      endpoint: 'churn',
      version,
      digest: 'd'.repeat(64),
      numbers: [],
      moments: [],
      texts: [],
      outputs: columns.map(({ name, kind }) => ({ name, type: kind })),
    };
    this.#layouts.set(version, layout);
    const refusal = this.#spool.addPrediction({
      layout,
      at,
      requestId,
      entity: undefined,
      role: 'champion',
      reason: 'weight',
      insteadOf: undefined,
      generation: 1,
      latencyMs: 1,
      batch: { rows, columns: new Map() },
      outputs: { rows, columns },
      ...more,
    });
    if (refusal) throw new Error(refusal);
  }

  tell(feedback: Feedback): void {
    const refusal = this.#spool.addTruth(truthOf('churn', feedback, undefined));
    if (refusal) throw new Error(refusal);
  }

  flush = (): Promise<boolean> => this.#log.flush();
  close = (): Promise<void> => this.#log.close();
}

const QUESTION: TruthQuestion = {
  endpoint: 'churn',
  versions: ['1', '2'],
  since: iso(START),
  until: iso(START + HOUR),
  task: 'binary',
  classNames: ['no', 'yes'],
  positiveClass: 'yes',
  quality: 'brier_score',
  business: null,
};

async function observe(more: Partial<TruthQuestion> = {}): Promise<TruthReport> {
  await recorder.flush();
  const { scratchDir } = fixture;
  return truthReport.parse(await rolloutTruth(fixture.config, { ...QUESTION, ...more }, { scratchDir }));
}

/** Two passes, as nobody would in one. */
function reference(values: readonly number[]): Moments {
  const count = values.length;
  if (count === 0) return { count: 0, mean: 0, m2: 0, min: null, max: null };
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const m2 = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, m2, min: Math.min(...values), max: Math.max(...values) };
}

function expectMoments(found: Moments | null | undefined, values: readonly number[]): void {
  const expected = reference(values);
  expect(found).toMatchObject({ count: expected.count });
  for (const part of ['mean', 'm2', 'min', 'max'] as const)
    if (expected[part] === null) expect(found?.[part]).toBeNull();
    else {
      // The engine adds up in another order.
      const scale = Math.max(1, Math.abs(expected[part]));
      expect((found?.[part] ?? Number.NaN) / scale).toBeCloseTo(expected[part] / scale, 9);
    }
}

const clipped = (p: number): number => Math.min(1 - 1e-15, Math.max(1e-15, p));
/** The same every time. */
const noise = (n: number): number => Math.abs(Math.sin(n * 12.9898) * 43_758.5453) % 1;

describe('a binary task', () => {
  /** Of each version: rows with their probability and truth. */
  const rowsOf = (version: string): { p: number; y: boolean }[][] =>
    Array.from({ length: 120 }, (_, request) =>
      Array.from({ length: 1 + (request % 3) }, (_, row) => {
        const n = Number(version) * 10_000 + request * 10 + row;
        // Sure answers too: the logarithm of nought must not be taken.
        const p = request % 40 === 0 ? (request % 80 === 0 ? 0 : 1) : Math.fround(noise(n));
        return { p, y: noise(n + 0.5) < 0.4 + p / 5 };
      }),
    );
  const record = (): void => {
    for (const version of ['1', '2'])
      for (const [i, rows] of rowsOf(version).entries())
        recorder.predict(
          version,
          `r${version}-${i}`,
          START + i * 1_000,
          { label: rows.map(({ p }) => (p >= 0.5 ? 'yes' : 'no')), probability: rows.map(({ p }) => p) },
          { role: version === '1' ? 'champion' : 'challenger' },
        );
  };
  /** Truth is known of two of three requests, and told in all the ways there are. */
  const told = (i: number): boolean => i % 3 !== 1;
  const tell = (): void => {
    for (const version of ['1', '2'])
      for (const [i, rows] of rowsOf(version).entries())
        for (const [row, { y }] of rows.entries()) {
          if (!told(i)) continue;
          const about = { requestId: `r${version}-${i}`, row };
          const ways = [{ label: y ? 'yes' : 'no' }, { value: Number(y) }, { value: y }, { label: y }];
          recorder.tell({
            ...about,
            ...ways[(i + row) % ways.length],
            metrics: { revenue: 10 * row + Number(y) },
          });
        }
  };
  const METRICS = {
    brier_score: (p: number, y: boolean) => (p - Number(y)) ** 2,
    log_loss: (p: number, y: boolean) => -Math.log(clipped(y ? p : 1 - p)),
    accuracy: (p: number, y: boolean) => Number(p >= 0.5 === y),
  };

  it.each(['brier_score', 'log_loss', 'accuracy'] as const)(
    'has the %s of both versions, once their truth has come',
    async (quality) => {
      record();
      const before = await observe({ quality, business: 'revenue' });
      expect(before).toMatchObject({ since: QUESTION.since, until: QUESTION.until, unreadable: 0 });
      for (const one of before.versions) {
        expect(one.rows).toBe(240);
        expectMoments(one.quality, []);
        expectMoments(one.business, []);
      }
      tell();
      const check = async (): Promise<void> => {
        const after = await observe({ quality, business: 'revenue' });
        expect(after.versions.map(({ version, rows }) => [version, rows])).toEqual([
          ['1', 240],
          ['2', 240],
        ]);
        for (const { version, quality: found, business } of after.versions) {
          const known = rowsOf(version).filter((_, i) => told(i));
          expectMoments(
            found,
            known.flatMap((rows) => rows.map(({ p, y }) => METRICS[quality](p, y))),
          );
          expectMoments(
            business,
            known.flatMap((rows) => rows.map(({ y }, row) => 10 * row + Number(y))),
          );
        }
      };
      await check();
      await fixture.roll();
      await check();
    },
  );

  it('may have the first class as the positive one', async () => {
    recorder.predict('1', 'a', START, { label: ['no', 'yes'], probability: [0.75, 0.25] });
    recorder.tell({ requestId: 'a', row: 0, label: 'no' });
    recorder.tell({ requestId: 'a', row: 1, value: false });
    const { versions } = await observe({ positiveClass: 'no' });
    expectMoments(versions[0]?.quality, [0.0625, 0.0625]);
  });

  it('may have classes that are numbers, or true and false', async () => {
    recorder.predict('1', 'a', START, { label: ['2', '1'], probability: [0.75, 0.25] });
    recorder.tell({ requestId: 'a', row: 0, value: 2 });
    recorder.tell({ requestId: 'a', row: 1, value: 1 });
    const numbers = { classNames: ['1', '2'], positiveClass: '2' };
    expectMoments((await observe(numbers)).versions[0]?.quality, [0.0625, 0.0625]);
    expectMoments((await observe({ ...numbers, quality: 'accuracy' })).versions[0]?.quality, [1, 1]);

    recorder.predict('2', 'b', START, { label: ['true', 'false'], probability: [0.25, 0.75] });
    recorder.tell({ requestId: 'b', row: 0, value: true });
    recorder.tell({ requestId: 'b', row: 1, value: 0 });
    const words = { classNames: ['false', 'true'], positiveClass: 'false' };
    expectMoments((await observe(words)).versions[1]?.quality, [0.0625, 0.0625]);
    expectMoments((await observe({ ...words, quality: 'accuracy' })).versions[1]?.quality, [1, 1]);
  });

  it('counts no row whose truth is no class, or whose answer is no number', async () => {
    recorder.predict('1', 'a', START, {
      label: ['yes', 'yes', 'yes', ''],
      probability: [0.5, 0.5, 0.5, Number.NaN],
    });
    recorder.tell({ requestId: 'a', row: 0, label: 'perhaps' });
    recorder.tell({ requestId: 'a', row: 1, value: 7 });
    recorder.tell({ requestId: 'a', row: 2, label: 'yes' });
    recorder.tell({ requestId: 'a', row: 3, label: 'yes' });
    for (const [quality, value] of [
      ['brier_score', 0.25],
      ['accuracy', 1],
      ['log_loss', Math.LN2],
    ] as const) {
      const { versions } = await observe({ quality });
      expect(versions[0]?.rows).toBe(4);
      expectMoments(versions[0]?.quality, [value]);
    }
  });
});

describe('other tasks', () => {
  it('have the log loss and the accuracy of several classes, whatever their names are', async () => {
    const names = ['a b', 'a-b', '10'];
    const outputs = ['probability_a_b', 'probability_a_b_2', 'probability_10'];
    const rows = Array.from({ length: 90 }, (_, i) => {
      const raw = names.map((_, k) => 0.01 + noise(i * 3 + k));
      const sum = raw.reduce((one, other) => one + other, 0);
      const p = raw.map((value) => Math.fround(value / sum));
      return { p, label: p.indexOf(Math.max(...p)), truth: i % 3 };
    });
    for (const [i, { p, label }] of rows.entries())
      recorder.predict('1', `r${i}`, START + i, {
        label: [names[label] ?? ''],
        ...Object.fromEntries(outputs.map((name, k) => [name, [p[k] ?? 0]])),
      });
    for (const [i, { truth }] of rows.entries())
      recorder.tell({ requestId: `r${i}`, ...(truth === 2 ? { value: 10 } : { label: names[truth] }) });
    const question = { task: 'multiclass', classNames: names, positiveClass: null } as const;
    const loss = await observe({ ...question, quality: 'log_loss' });
    expectMoments(
      loss.versions[0]?.quality,
      rows.map(({ p, truth }) => -Math.log(clipped(p[truth] ?? 0))),
    );
    const accuracy = await observe({ ...question, quality: 'accuracy' });
    expectMoments(
      accuracy.versions[0]?.quality,
      rows.map(({ label, truth }) => Number(label === truth)),
    );
  });

  it('have the errors of numbers', async () => {
    const answers = [1, 2.5, -3, 4].map(Math.fround);
    const truth = [1.5, 2, 3, 1e9];
    recorder.predict('2', 'a', START, { prediction: answers }, { role: 'challenger' });
    for (const [row, value] of truth.entries()) recorder.tell({ requestId: 'a', row, value });
    const question: Partial<TruthQuestion> = { task: 'regression', classNames: [], positiveClass: null };
    const errors = answers.map((answer, i) => answer - (truth[i] ?? 0));
    const absolute = await observe({ ...question, quality: 'mean_absolute_error' });
    expectMoments(absolute.versions[1]?.quality, errors.map(Math.abs));
    const squared = await observe({ ...question, quality: 'mean_squared_error' });
    expectMoments(
      squared.versions[1]?.quality,
      errors.map((error) => error ** 2),
    );
    expectMoments(absolute.versions[0]?.quality, []);
  });
});

it('is known of a champion and its shadow by what clients tell the server', async () => {
  const { config, store } = fixture;
  const server = await ModelServer.create({
    serverId: 's1',
    store,
    logger: quiet,
    predictionLog: (policy) => createPredictionLog({ config, serverId: 's1', store, logger: quiet, policy }),
  });
  try {
    const shadow = { model: await plusModel(store, '2', 20), weight: 100, role: 'shadow' } as const;
    const champion = { model: await plusModel(store, '1', 10), weight: 100 };
    await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [champion, shadow] });
    const post = (path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    for (const x of [0, 1, 2, 3])
      await post('/invocations', { instances: [{ x }] }, { 'x-request-id': `live-${x}` });
    const shadowed = async (): Promise<number | undefined> =>
      (await server.observeTraffic('churn')).versions.find(({ version }) => version === '2')?.requests;
    await expect.poll(shadowed, { timeout: 60_000 }).toBe(4);
    const told = [0, 1, 2].map((x) => ({ requestId: `live-${x}`, value: 12 * x, metrics: { revenue: x } }));
    expect((await post('/v1/endpoints/churn/feedback', told)).status).toBe(202);
    const report = await observe({
      since: iso(Date.now() - HOUR),
      until: iso(Date.now() + HOUR),
      task: 'regression',
      classNames: [],
      positiveClass: null,
      quality: 'mean_absolute_error',
      business: 'revenue',
    });
    expect(report.versions.map(({ rows }) => rows)).toEqual([4, 4]);
    for (const [index, add] of [10, 20].entries()) {
      const errors = [0, 1, 2].map((x) => Math.abs(x + add - 12 * x));
      expectMoments(report.versions[index]?.quality, errors);
      expectMoments(report.versions[index]?.business, [0, 1, 2]);
    }
  } finally {
    await server.close();
  }
});

describe('the rows that count', () => {
  const answer: Outputs = { label: ['yes'], probability: [0.5] };
  const tellAll = (ids: readonly string[]): void => {
    for (const requestId of ids) recorder.tell({ requestId, label: 'yes', metrics: { revenue: 1 } });
  };

  it('are those of the time, from its beginning up to its end', async () => {
    for (const [id, at] of [
      ['a', -1],
      ['b', 0],
      ['c', HOUR - 1],
      ['d', HOUR],
    ] as const)
      recorder.predict('1', id, START + at, answer);
    tellAll(['a', 'b', 'c', 'd']);
    expect((await observe()).versions[0]).toMatchObject({ rows: 2, quality: { count: 2 } });
    await expect(observe({ since: 'yesterday' })).rejects.toThrow(/since: expected ISO 8601/);
  });

  it('are those that were routed to the version, and copies; each once', async () => {
    recorder.predict('1', 'a', START, answer);
    recorder.predict(
      '2',
      'a',
      START,
      { label: ['no'], probability: [0.25] },
      { role: 'shadow', reason: 'shadow' },
    );
    // Recorded twice; asked by its name; in place of another; before it had a route.
    recorder.predict(
      '2',
      'a',
      START,
      { label: ['no'], probability: [0.25] },
      { role: 'shadow', reason: 'shadow' },
    );
    recorder.predict('1', 'b', START + 1, answer, { reason: 'version' });
    recorder.predict('1', 'c', START + 2, answer, { reason: 'fallback', insteadOf: '2' });
    recorder.predict('2', 'd', START + 3, answer, { role: 'candidate', reason: 'version' });
    // The same id at another time is another request.
    recorder.predict('1', 'a', START + 4, answer);
    tellAll(['a', 'b', 'c', 'd']);
    const { versions } = await observe({ versions: ['2', '1', '9'], business: 'revenue' });
    expect(versions).toMatchObject([
      { version: '2', rows: 1, quality: { count: 0 } },
      { version: '1', rows: 2, quality: { count: 1, mean: 0.25 }, business: { count: 1, mean: 1 } },
      { version: '9', rows: 0, quality: { count: 0, min: null }, business: { count: 0 } },
    ]);
  });

  it('are none of numbers that nobody measured', async () => {
    recorder.predict('1', 'a', START, { label: ['yes', 'yes', 'no'], probability: [1, 1, 1] });
    for (const [row, revenue] of [2, 1e300, -4].entries())
      recorder.tell({ requestId: 'a', row, metrics: { revenue } });
    const { versions } = await observe({ quality: null, business: 'revenue' });
    expect(versions[0]?.quality).toBeNull();
    expectMoments(versions[0]?.business, [2, -4]);
    expect((await observe({ quality: null, business: 'clicks' })).versions[0]?.business).toMatchObject({
      count: 0,
    });
  });

  it('are those that can be read, and the others are named', async () => {
    recorder.predict('1', 'a', START, answer);
    await recorder.flush();
    const folder = serverFolder(segmentsFolder(fixture.config), 'server-1');
    await writeFile(join(folder, 'other.1.1-000001.seg'), 'no segment at all '.repeat(100));
    expect(await observe()).toMatchObject({ versions: [{ rows: 1 }, { rows: 0 }], unreadable: 1 });
  });

  it('are none where nothing is on record, and the work can be given up', async () => {
    expect(await observe()).toMatchObject({
      versions: [
        { version: '1', rows: 0 },
        { version: '2', rows: 0 },
      ],
    });
    const aborted = AbortSignal.abort(new Error('given up'));
    const { scratchDir } = fixture;
    await expect(rolloutTruth(fixture.config, QUESTION, { scratchDir, signal: aborted })).rejects.toThrow(
      'given up',
    );
  });
});
