import { request } from 'node:http';
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
    for (let seed = 1; seed <= 2_500; seed++) {
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
    for (let seed = 1; seed <= 1_500; seed++) {
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

  it('broken binary tensors are answered or refused, never a failure', async () => {
    const counts = new Map<number, number>();
    const age = Buffer.alloc(8);
    age.writeFloatLE(30, 0);
    age.writeFloatLE(50, 4);
    const city = Buffer.from('\u0003\0\0\0Ulm\u0000\0\0\0', 'latin1');
    const sizes = [8, 11, 0, 7, -1, 1.5, 1e15, '8', null];
    for (let seed = 1; seed <= 3_000; seed++) {
      const next = generator(seed * 15_485_863);
      const size = (right: number): unknown => (next(6) === 0 ? sizes[next(sizes.length)] : right);
      const tensor = (name: string, datatype: string, bytes: number): object => ({
        name,
        shape: next(12) === 0 ? [[3], [2, 2], [1e9], []][next(4)] : [2],
        datatype: next(12) === 0 ? ['FP64', 'BOOL', 'INT64', 'BF16', 'X'][next(5)] : datatype,
        parameters: { binary_data_size: size(bytes) },
      });
      let value: unknown = {
        inputs: [tensor('age', 'FP32', 8), tensor('city', 'BYTES', 11)],
        ...(next(2) === 0 && { parameters: { binary_data_output: true, entity: 'a' } }),
      };
      if (next(3) === 0) value = mutated(value, next);
      const json = Buffer.from(JSON.stringify(value) ?? '');
      let bytes = Buffer.concat([json, age, city]);
      if (next(3) === 0 && bytes.length > 0) bytes[next(bytes.length)] = next(256);
      if (next(6) === 0) bytes = bytes.subarray(0, next(bytes.length + 1));
      const lies = [
        '',
        '-1',
        '0',
        '999999999999999999',
        'x',
        '1e2',
        String(json.length + 1),
        `${json.length},1`,
      ];
      const answer = await fixture.app.inject({
        method: 'POST',
        url: '/v2/models/churn/infer',
        payload: bytes,
        headers: {
          'content-type': 'application/octet-stream',
          'inference-header-content-length':
            next(5) === 0 ? (lies[next(lies.length)] ?? '') : String(json.length),
        },
      });
      const written = answer.headers['inference-header-content-length'];
      const head = answer.rawPayload.subarray(0, written === undefined ? undefined : Number(written));
      expectSound(`binary ${seed}`, { status: answer.statusCode, body: head.toString() });
      counts.set(answer.statusCode, (counts.get(answer.statusCode) ?? 0) + 1);
    }
    expect(counts.get(200)).toBeGreaterThan(100);
    expect(counts.get(400)).toBeGreaterThan(500);
  });

  it('odd methods, paths, types and lengths over sockets are refused, and the server lives', async () => {
    const url = new URL(await fixture.app.listen({ host: '127.0.0.1', port: 0 }));
    const paths = [
      '/invocations',
      '/v2/models/churn/infer',
      '/v2/models/%00/infer',
      '/v2/models/%ff',
      '/endpoints//invocations',
      '/v2/repository/index',
      '/v2/repository/models/x/load',
      '/openapi.json',
      '/nope',
      `/v2/models/${'a'.repeat(5_000)}`,
    ];
    const types = [
      'application/json',
      'application/octet-stream',
      'text/csv',
      'application/json; charset=x',
      ';',
      '',
      undefined,
    ];
    const encodings = ['gzip', 'deflate', 'br', 'identity', undefined, undefined, undefined];
    const bodies = [
      '{}',
      '[',
      '\ufeff{}',
      '\xff',
      '',
      JSON.stringify(SEEDS[0]?.body),
      '{"inputs":'.repeat(500),
    ];
    let answered = 0;
    const ask = (seed: number): Promise<void> =>
      new Promise((resolve) => {
        const next = generator(seed * 32_452_843);
        const pick = <T>(of: readonly T[]): T | undefined => of[next(of.length)];
        const type = pick(types);
        const encoding = pick(encodings);
        const asked = request(
          {
            host: url.hostname,
            port: url.port,
            method: pick(['GET', 'POST', 'POST', 'POST', 'PUT', 'DELETE', 'OPTIONS']),
            path: pick(paths),
            headers: {
              ...(type !== undefined && { 'content-type': type }),
              ...(encoding !== undefined && { 'content-encoding': encoding }),
              ...(next(8) === 0 && { 'perennial-entity': pick(['%', '%ff', 'a'.repeat(600), 'anna']) }),
              ...(next(8) === 0 && { 'perennial-timeout-ms': pick(['0', '-1', 'x', '1e3', '9'.repeat(30)]) }),
              ...(next(8) === 0 && { 'inference-header-content-length': pick(['0', '2', '-2', 'x', '99']) }),
              ...(next(8) === 0 && { 'transfer-encoding': 'chunked' }),
            },
          },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on('data', (chunk: Buffer) => chunks.push(chunk));
            answer.on('end', () => {
              const text = Buffer.concat(chunks).toString();
              answered += 1;
              const status = answer.statusCode ?? 0;
              if (status >= 500 && status !== 503) throw new Error(`${status} ${text} for seed ${seed}`);
              JSON.parse(text);
              resolve();
            });
          },
        );
        // A server may close a connection on which it has refused what was still being sent.
        asked.on('error', () => resolve());
        asked.end(pick(bodies), 'latin1');
      });
    for (let seed = 1; seed <= 3_000; seed += 20)
      await Promise.all(Array.from({ length: 20 }, (_, index) => ask(seed + index)));
    expect(answered).toBeGreaterThan(2_500);
  });

  it('still answers a sound request as before', async () => {
    const answer = await send('/invocations', JSON.stringify({ dataframe_records: [ROW] }));
    expect(JSON.parse(answer.body)).toEqual({
      predictions: [{ label: 'yes', probability: expect.closeTo(0.88795, 5) }],
    });
  });
});
