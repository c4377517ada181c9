import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AppFixture } from './serving-fixture.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: '2023-11-14T22:13:20Z' };
const SEEDS: { url: string; body: object }[] = [
  { url: '/invocations', body: { dataframe_records: [ROW, ROW] } },
  {
    url: '/invocations',
    body: { dataframe_split: { columns: Object.keys(ROW), data: [Object.values(ROW)] } },
  },
  { url: '/invocations', body: { instances: [Object.values(ROW), Object.values(ROW)] } },
  { url: '/invocations', body: { inputs: { age: [1, 2], city: ['a', null] } } },
  {
    url: '/v2/models/churn/infer',
    body: {
      id: 'a',
      inputs: [
        { name: 'age', shape: [2], datatype: 'FP32', data: [30, 31] },
        { name: 'joined', shape: [2, 1], datatype: 'BYTES', data: [['2024-01-01'], [null]] },
      ],
      outputs: [{ name: 'label' }],
    },
  },
];

/** What stands in the place of any part of a body. */
const ODD: unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  Number.POSITIVE_INFINITY,
  -0,
  '',
  'x',
  '\u0000',
  '\ud800',
  '__proto__',
  'NaN',
  '2024-01-01',
  [],
  [[]],
  [null],
  {},
  { __proto__: null, toString: 1 },
  { length: 5 },
  [[[[[[]]]]]],
  'a'.repeat(5_000),
];

/** A small generator with a seed: the same mutations in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** The value with one part, chosen by `next`, replaced, dropped, doubled or renamed. */
function mutated(value: unknown, next: (below: number) => number): unknown {
  if (typeof value !== 'object' || value === null || next(6) === 0) return ODD[next(ODD.length)];
  if (Array.isArray(value)) {
    const copy: unknown[] = [...value];
    const at = next(Math.max(1, copy.length));
    const action = next(4);
    if (action === 0) copy.splice(at, 1);
    else if (action === 1) copy.push(copy[at]);
    else copy[at] = mutated(copy[at], next);
    return copy;
  }
  const entries: [string, unknown][] = Object.entries(value);
  const at = next(Math.max(1, entries.length));
  const [key, part] = entries[at] ?? ['k', 1];
  const action = next(5);
  if (action === 0) entries.splice(at, 1);
  else if (action === 1) entries.push([`${key}${next(10)}`, part]);
  else if (action === 2) entries[at] = [['__proto__', 'constructor', 'Age', ''][next(4)] ?? '', part];
  else entries[at] = [key, mutated(part, next)];
  // A null prototype lets "__proto__" be a key.
  const copy: Record<string, unknown> = Object.create(null);
  for (const [name, item] of entries) copy[name] = item;
  return copy;
}

let fixture: AppFixture;
beforeAll(async () => {
  fixture = await AppFixture.create();
  await fixture.serve();
});
afterAll(() => fixture.close());

async function send(url: string, payload: string | Buffer): Promise<{ status: number; body: string }> {
  const answer = await fixture.app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json' },
  });
  return { status: answer.statusCode, body: answer.body };
}

/** Every answer is JSON: outputs for 200, and a message for a refusal; nothing else. */
function expectSound(payload: unknown, { status, body }: { status: number; body: string }): void {
  const answer: Record<string, unknown> = JSON.parse(body);
  const sound =
    status === 200
      ? 'predictions' in answer || 'outputs' in answer
      : (status === 400 || status === 413) && typeof (answer.message ?? answer.error) === 'string';
  if (!sound) throw new Error(`${status} ${body} for ${String(payload)}`);
}

describe('garbage bodies', () => {
  it('mutated structures are answered or refused, never a failure', async () => {
    const counts = new Map<number, number>();
    for (let seed = 1; seed <= 1_500; seed++) {
      const next = generator(seed * 7_919);
      const { url, body } = SEEDS[seed % SEEDS.length] ?? { url: '', body: {} };
      let value: unknown = body;
      for (let times = 1 + next(3); times > 0; times--) value = mutated(value, next);
      // JSON.stringify writes Infinity as null; as 1e999 it stays valid JSON and becomes infinite when read.
      const payload = JSON.stringify(value, (_key, item: unknown) =>
        item === Number.POSITIVE_INFINITY ? '1e999!' : item,
      ).replaceAll('"1e999!"', '1e999');
      const answer = await send(url, payload);
      expectSound(payload, answer);
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
    }
    // The mutations reach both sides of the checks.
    expect(counts.get(200)).toBeGreaterThan(100);
    expect(counts.get(400)).toBeGreaterThan(500);
  });

  it('mutated bytes are answered or refused, never a failure', async () => {
    for (let seed = 1; seed <= 500; seed++) {
      const next = generator(seed * 104_729);
      const { url, body } = SEEDS[seed % SEEDS.length] ?? { url: '', body: {} };
      const bytes = Buffer.from(JSON.stringify(body));
      for (let times = 1 + next(4); times > 0; times--) bytes[next(bytes.length)] = next(256);
      const payload = next(4) === 0 ? bytes.subarray(0, next(bytes.length)) : bytes;
      expectSound(payload, await send(url, payload));
    }
  });

  it.each([
    '[',
    '['.repeat(100_000),
    `{"instances":${'['.repeat(50_000)}${']'.repeat(50_000)}}`,
    `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
    `{"instances":[{"age":${'9'.repeat(400)}}]}`,
    `{"inputs":{"age":[${'1,'.repeat(200_000)}1]}}`,
    '\u0000',
    '\uFEFF{}',
  ])('survives a hostile shape (%#)', async (payload) => {
    const answer = await send('/invocations', payload);
    expect([400, 413]).toContain(answer.status);
    expectSound(payload, answer);
  });

  it('still answers a sound request as before', async () => {
    const answer = await send('/invocations', JSON.stringify({ dataframe_records: [ROW] }));
    expect(JSON.parse(answer.body)).toEqual({
      predictions: [{ label: 'yes', probability: expect.closeTo(0.88795, 5) }],
    });
  });
});
