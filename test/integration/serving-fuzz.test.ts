import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addServerKey } from '../../client/server-keys.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { type ServingSupervisor, startServing } from '../../serving/process/supervisor.ts';
import { quiet } from '../support/prediction-log-fixture.ts';
import { churnServed } from './serving-models.ts';
import { WholeApp } from './serving-whole-app.ts';

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

const COMPRESS = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync } as const;
const ENCODINGS = ['gzip', 'deflate', 'br'] as const;

/** Other bodies than predictions have: what is explained, what turned out to be true, rows of events. */
const OTHER_SEEDS: { url: string; type: string; body: object }[] = [
  { url: '/endpoints/churn/explain', type: 'application/json', body: { dataframe_records: [ROW] } },
  {
    url: '/v2/models/churn/explain',
    type: 'application/json',
    body: { inputs: [{ name: 'age', shape: [1], datatype: 'FP32', data: [30] }] },
  },
  {
    url: '/v1/endpoints/churn/feedback',
    type: 'application/json',
    body: [
      { requestId: 'r-1', row: 0, label: 'yes' },
      { entity: 'anna', at: '2026-11-22T10:00:00Z', value: 1, metrics: { revenue: 1.5 } },
    ],
  },
  {
    url: '/v1/endpoints/churn/feedback',
    type: 'application/x-ndjson',
    body: { requestId: 'r-1', value: 1, metrics: { a: 1 } },
  },
  { url: '/v1/events/calls', type: 'application/x-ndjson', body: { a: 1, b: 'x', c: [1] } },
  { url: '/v1/events/calls', type: 'text/csv', body: { a: 1 } },
  { url: '/v2/repository/index', type: 'application/json', body: { ready: true } },
];

/** Not JSON.stringify alone, which writes Infinity as null: as 1e999 it stays valid and becomes infinite when read. */
const textOf = (value: unknown): string =>
  (
    JSON.stringify(value, (_key, item: unknown) => (item === Number.POSITIVE_INFINITY ? '1e999!' : item)) ??
    ''
  ).replaceAll('"1e999!"', '1e999');

let fixture: WholeApp;
beforeAll(async () => {
  fixture = await WholeApp.create();
  await fixture.serve();
});
afterAll(() => fixture.close());

async function send(
  url: string,
  payload: string | Buffer,
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string }> {
  const answer = await fixture.app.inject({
    method: 'POST',
    url,
    payload,
    headers: { 'content-type': 'application/json', ...headers },
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
      const payload = textOf(value);
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

  // A search that begins anew at each key would take minutes.
  it('bodies of a hundred thousand keys are read once', async () => {
    const keys = Array.from({ length: 100_000 }, (_, at) => `"k${at}":1`).join(',');
    const same = new Array(100_000).fill('"a":1').join(',');
    for (const url of ['/invocations', '/v2/models/churn/infer', '/endpoints/churn/explain'])
      for (const last of ['"id":"x"', '"z":"entity"', '"\\u0069d":"x"'])
        expect([url, last, (await send(url, `{${same},${last}}`)).status]).toEqual([url, last, 400]);
    expect((await send('/v2/models/churn/infer', `{${keys},"id":"x"}`)).status).toBe(400);
    expect((await send('/v2/repository/index', `{${keys}}`)).status).toBe(200);
    const row = `{"dataframe_records":[{${keys}}],"params":{${keys}}}`;
    expect((await send('/invocations', row)).status).toBe(400);
    expect(
      (await send('/v1/endpoints/churn/feedback', `[{"requestId":"a","value":1,"metrics":{${keys}}}]`))
        .status,
    ).toBe(400);
  });

  it('compressed bodies, whole, cut off, broken and bombs, are answered or refused', async () => {
    const counts = new Map<number, number>();
    for (let seed = 1; seed <= 1_000; seed++) {
      const next = generator(seed * 49_979_687);
      const { url, body } = SEEDS[seed % SEEDS.length] ?? { url: '', body: {} };
      const encoding = ENCODINGS[next(3)] ?? 'gzip';
      let bytes = COMPRESS[encoding](textOf(next(2) === 0 ? body : mutated(body, next)));
      if (next(4) === 0) bytes = bytes.subarray(0, next(bytes.length));
      if (next(4) === 0) bytes[next(bytes.length)] = next(256);
      if (next(8) === 0) bytes = Buffer.concat([bytes, bytes]);
      const answer = await send(url, bytes, { 'content-encoding': encoding });
      expectSound(`compressed ${seed}`, answer);
      counts.set(answer.status, (counts.get(answer.status) ?? 0) + 1);
    }
    expect(counts.get(200)).toBeGreaterThan(200);
    expect(counts.get(400)).toBeGreaterThan(200);
    for (const encoding of ENCODINGS) {
      const bomb = COMPRESS[encoding](Buffer.alloc(11_000_000, ' '));
      for (const { url } of [...SEEDS, ...OTHER_SEEDS.filter(({ type }) => type === 'application/json')])
        expect([url, (await send(url, bomb, { 'content-encoding': encoding })).status]).toEqual([url, 413]);
    }
  });

  it('explanations, feedback, events and the index are answered or refused likewise', async () => {
    const counts = new Map<number, number>();
    for (let seed = 1; seed <= 210; seed++) {
      const next = generator(seed * 67_867_967);
      const { url, type, body } = OTHER_SEEDS[seed % OTHER_SEEDS.length] ?? { url: '', type: '', body: {} };
      let bytes = Buffer.from(textOf(next(8) === 0 ? body : mutated(body, next)));
      if (next(6) === 0 && bytes.length > 0) bytes[next(bytes.length)] = next(256);
      const encoding = next(4) === 0 ? ENCODINGS[next(3)] : undefined;
      if (encoding) bytes = COMPRESS[encoding](bytes);
      const { status, body: text } = await send(url, bytes, {
        'content-type': type,
        ...(encoding && { 'content-encoding': encoding }),
      });
      const answer: unknown = JSON.parse(text);
      if (status >= 300 && (status < 400 || status >= 500 || typeof answer !== 'object'))
        throw new Error(`${status} ${text} for ${seed}`);
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    for (const [status, least] of [
      [200, 10],
      [201, 5],
      [202, 5],
      [400, 50],
    ] as const)
      expect([status, (counts.get(status) ?? 0) >= least]).toEqual([status, true]);
  });

  it('still answers a sound request as before', async () => {
    const answer = await send('/invocations', JSON.stringify({ dataframe_records: [ROW] }));
    expect(JSON.parse(answer.body)).toEqual({
      predictions: [{ label: 'yes', probability: expect.closeTo(0.88795, 5) }],
    });
  });
});

describe('the real server, with keys', () => {
  let folder: string;
  let server: ServingSupervisor;
  const tokens: Record<'all' | 'bound' | 'feedback', string> = { all: '', bound: '', feedback: '' };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'serving-fuzz-'));
    const keysFile = join(folder, 'keys.json');
    tokens.all = addServerKey(keysFile, { id: 'all', roles: ['predict', 'feedback', 'operate'] }).token;
    tokens.bound = addServerKey(keysFile, { id: 'bound', roles: ['predict'], endpoints: ['other'] }).token;
    tokens.feedback = addServerKey(keysFile, { id: 'truth', roles: ['feedback'] }).token;
    const store = await openStore({ dataDir: folder });
    const model = {
      ...(await churnServed(store, '1')),
      explanation: {
        samples: await store.putJson({ rows: [{ ...ROW, active: 1, joined: 0 }], expected: {} }),
      },
    };
    server = await startServing({
      serverId: 'fuzz',
      store: { dataDir: folder },
      routesFile: join(folder, 'routes.json'),
      logger: quiet,
      logLevel: 'silent',
      processes: 2,
      access: { keysFile },
      predictions: {},
      events: {
        relay: {
          check: () => undefined,
          append: async (log, { batchId, rows }) => ({ log, batchId, offset: 0, rows, duplicate: false }),
          send: () => Promise.reject(new PerennialError('ServerUnavailable', 'nobody is there', true)),
        },
      },
    });
    await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
  }, 60_000);
  afterAll(async () => {
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('refuses odd methods, paths, types, lengths, bodies and keys over sockets, and no process ends', async () => {
    const url = new URL(server.url);
    const paths = [
      '/invocations',
      '/v2/models/churn/infer',
      '/v2/models/%00/infer',
      '/v2/models/%ff',
      '/endpoints//invocations',
      '/v2/repository/index',
      '/v2/repository/models/x/load',
      '/v2/models/churn/explain',
      '/v1/endpoints/churn/feedback',
      '/v1/events/calls',
      '/v1/events/%2e%2e',
      '/openapi.json',
      '/nope',
      `/v2/models/${'a'.repeat(5_000)}`,
    ];
    const types = [
      'application/json',
      'application/json',
      'application/octet-stream',
      'application/x-ndjson',
      'text/csv',
      'application/json; charset=x',
      ';',
      '',
      undefined,
    ];
    const lies = ['gzip', 'deflate', 'br', 'identity', 'zstd', undefined, undefined, undefined];
    const bodies = [
      '{}',
      '[',
      '\ufeff{}',
      '\xff',
      '',
      JSON.stringify(SEEDS[0]?.body),
      JSON.stringify(SEEDS[4]?.body),
      JSON.stringify(OTHER_SEEDS[2]?.body),
      '{"a":1}\n{"a":2}\n',
      '{"inputs":'.repeat(500),
      `{${'"a":1,'.repeat(20_000)}"id":"x"}`,
      '\n'.repeat(100_000),
    ].map((text) => Buffer.from(text, 'latin1'));
    const bombs = ENCODINGS.map((encoding) => ({
      encoding,
      bytes: COMPRESS[encoding](Buffer.alloc(11_000_000, '\n')),
    }));
    const agent = new Agent({ keepAlive: true, maxSockets: 20 });
    const counts = new Map<number, number>();
    const ask = (seed: number): Promise<void> =>
      new Promise((resolve, reject) => {
        const next = generator(seed * 32_452_843);
        const pick = <T>(of: readonly T[]): T | undefined => of[next(of.length)];
        const type = pick(types);
        const token = pick([
          tokens.all,
          tokens.all,
          tokens.all,
          tokens.bound,
          tokens.feedback,
          'wrong',
          'a.b.c',
          undefined,
        ]);
        let encoding = pick(lies);
        let bytes = pick(bodies) ?? Buffer.alloc(0);
        const kind = next(16);
        if (kind === 0) ({ encoding, bytes } = pick(bombs) ?? { encoding, bytes });
        else if (kind < 5) {
          const packed = pick(ENCODINGS) ?? 'gzip';
          encoding = packed;
          bytes = COMPRESS[packed](bytes);
          if (next(3) === 0) bytes = bytes.subarray(0, next(bytes.length));
        }
        const asked = request(
          {
            host: url.hostname,
            port: url.port,
            agent,
            method: next(4) > 0 ? 'POST' : pick(['GET', 'PUT', 'DELETE', 'OPTIONS']),
            path: pick(paths),
            headers: {
              ...(token !== undefined && { authorization: `Bearer ${token}` }),
              ...(type !== undefined && { 'content-type': type }),
              ...(encoding !== undefined && { 'content-encoding': encoding }),
              ...(next(8) === 0 && { 'perennial-entity': pick(['%', '%ff', 'a'.repeat(600), 'anna']) }),
              ...(next(8) === 0 && {
                'perennial-timeout-ms': pick(['0', '-1', 'x', '1e3', '1', '9'.repeat(30)]),
              }),
              ...(next(8) === 0 && { 'inference-header-content-length': pick(['0', '2', '-2', 'x', '99']) }),
              ...(next(8) === 0 && { prefer: 'respond-async' }),
              ...(next(8) === 0 && { 'transfer-encoding': 'chunked' }),
            },
          },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on('data', (chunk: Buffer) => chunks.push(chunk));
            answer.on('error', () => resolve());
            answer.on('end', () => {
              const text = Buffer.concat(chunks).toString();
              const status = answer.statusCode ?? 0;
              counts.set(status, (counts.get(status) ?? 0) + 1);
              const known = token?.startsWith('pnl_') === true;
              try {
                expect([seed, JSON.parse(text), status]).toEqual([
                  seed,
                  expect.anything(),
                  expect.any(Number),
                ]);
                if (status >= 500 && status !== 503) throw new Error(`${status} ${text} for seed ${seed}`);
                if (!known && status < 400) throw new Error(`${status} without a key for seed ${seed}`);
                resolve();
              } catch (error) {
                reject(error);
              }
            });
          },
        );
        // A server may close a connection on which it has refused what was still being sent.
        asked.on('error', () => resolve());
        asked.end(bytes);
      });
    for (let seed = 1; seed <= 2_000; seed += 20)
      await Promise.all(Array.from({ length: 20 }, (_, index) => ask(seed + index)));
    agent.destroy();
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(1_600);
    for (const status of [200, 400, 401, 403, 404, 413, 415])
      expect([status, counts.get(status) ?? 0]).not.toEqual([status, 0]);

    const headers = { authorization: `Bearer ${tokens.all}` };
    const metrics = await (await fetch(`${server.url}/metrics`, { headers })).text();
    expect(metrics).toContain('perennial_server_process_ends_total{reason="crash"} 0');
    expect(metrics).toContain('perennial_server_process_ends_total{reason="hang"} 0');
    expect(metrics).toContain('perennial_server_processes 2');
    const sound = await fetch(`${server.url}/invocations`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ dataframe_records: [ROW] }),
    });
    expect(await sound.json()).toEqual({
      predictions: [{ label: 'yes', probability: expect.closeTo(0.88795, 5) }],
    });
  });
});
