import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PerennialClient } from '../../client/perennial-client.ts';
import { DEFAULT_TASK_QUEUE, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Person, storePerson } from '../../lib/erasure/person.ts';
import { Suppressions } from '../../lib/erasure/suppressions.ts';
import { askFeatures } from '../../lib/feature-store/ask.ts';
import { featuresFolder } from '../../lib/feature-store/settings.ts';
import { Secrets } from '../../lib/secrets.ts';
import { contentOf } from '../support/feature-world.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { SourceServer } from '../support/source-server.ts';

const PIPELINE = 'buyers';
const UNTIL = '2026-11-02T00:00:00.000Z';
const PERSON = 'Nadia@Example.org ';
const LATE = 'ludwig@example.org';
const STAYS = 'stella@example.org';

let platform: TestPlatform;
let perennial: PerennialClient;
let web: SourceServer;
let visits: string;

/** Each payment is a line; those of a person stand among others in each hour. */
function payments(people: readonly string[]): string {
  const lines = ['buyer,shop,paid,amount,fraud'];
  for (let hour = 0; hour < 24; hour++)
    for (const [place, buyer] of people.entries()) {
      const paid = `2026-11-01 ${String(hour).padStart(2, '0')}:${10 + place}:00`;
      lines.push(`${buyer},shop-${hour % 3},${paid},${(hour + 1) * (place + 3)},${hour % 2}`);
    }
  return `${lines.join('\n')}\n`;
}

function specOf(): PipelineSpec {
  const windows = { windows: ['1h', '1d'], online: { every: '10m' } };
  return pipelineSpec.parse({
    name: PIPELINE,
    task: 'binary',
    data: {
      sources: {
        payments: { path: join(platform.folder, 'payments.csv') },
        visits: { url: `${web.url}/v.csv` },
      },
      sql: 'SELECT * FROM payments',
    },
    columns: { target: 'fraud', timestamp: 'paid', ignored: ['buyer', 'shop'] },
    privacy: {
      subject: 'buyer',
      subjectIn: { visits: { buyer: 'who' } },
      columns: { buyer: { kind: 'email', action: 'keep' } },
      detection: { verified: 'off', likely: 'off' },
    },
    featureViews: {
      // The person is the entity; another one is, and the events do not say who paid; a part of the key.
      own: { ...windows, ...aboutPayments('buyer'), entity: 'buyer' },
      shop: { ...windows, ...aboutPayments('shop'), entity: 'shop' },
      pair: { ...windows, ...aboutPayments('buyer, shop'), entity: ['buyer', 'shop'] },
      visits: {
        ...windows,
        events: 'SELECT page AS shop, seen AS paid FROM visits',
        entity: 'shop',
        timestamp: 'paid',
        features: { visits: 'count(*)' },
      },
    },
  });
}

const aboutPayments = (key: string) => ({
  events: `SELECT ${key}, paid, amount FROM payments`,
  timestamp: 'paid',
  features: { total: 'sum(amount)', payments: 'count(*)' },
});

const refresh = (more: object = {}) =>
  platform.run('materializeFeatures', { pipeline: PIPELINE, until: UNTIL, ...more });

const erase = async (entity: string, more: object = {}) =>
  perennial.erase({
    request: await storePerson(await platform.deps.store(), { entity, column: null, pipelines: null }),
    ...more,
  });

/** How many events of a day a view knows of a key. */
async function counted(view: string, ...key: string[]): Promise<number | null | undefined> {
  const answer = await askFeatures(platform.config, {
    ask: 'values',
    pipeline: PIPELINE,
    view,
    key,
    at: UNTIL,
  });
  return 'values' in answer ? answer.values.at(-1)?.value : undefined;
}

/** All that the store has of the views. */
async function stored(): Promise<Record<string, Record<string, string>>> {
  const features = await platform.deps.features();
  const all: Record<string, Record<string, string>> = {};
  for (const { store } of await features.views()) all[store] = await contentOf(features, store);
  return all;
}

const files = async () =>
  (await readdir(featuresFolder(platform.config))).filter((name) => name.startsWith('store-'));

beforeAll(async () => {
  const own = { sourceHosts: ['127.0.0.1'], sourcePrivateHosts: ['127.0.0.1'] };
  web = await SourceServer.start();
  platform = await TestPlatform.start(own);
  perennial = new PerennialClient(platform.client, DEFAULT_TASK_QUEUE);
  await writeFile(join(platform.folder, 'payments.csv'), payments(['nadia@example.org', LATE, STAYS]));
  visits = `who,page,seen\n${PERSON.trim()},shop-0,2026-11-01 08:00:00\n${STAYS},shop-0,2026-11-01 09:00:00\n`;
  web.answer((_request, response) => response.end(visits));
  await refresh({ spec: specOf() });
  await platform.pauseFeatures(PIPELINE);
}, 120_000);
afterAll(async () => {
  await platform?.close();
  await web?.close();
}, 60_000);

it('a person is found in views, also where the events do not say whose they are', async () => {
  expect(await counted('own', 'nadia@example.org')).toBe(24);
  expect(await counted('shop', 'shop-0')).toBe(24);
  const before = await stored();
  const [file] = await files();
  const { found, unsearched } = await erase(PERSON, { dryRun: true });
  expect(unsearched).toEqual([]);
  const kept = found.filter(({ store }) => store === 'features');
  expect(Object.fromEntries(kept.map(({ kind, rows }) => [kind, rows]))).toEqual({
    'view own': 24,
    'view pair': 24,
    'view shop': 24,
    'view visits': 1,
  });
  expect(kept.every(({ places, pipelines }) => places >= 1 && pipelines.includes(PIPELINE))).toBe(true);
  expect(await stored()).toEqual(before);
  expect(await files()).toEqual([file]);
});

it('after the erasure the store is as if the person had never been there', async () => {
  const [file] = await files();
  const result = await erase(PERSON);
  expect(result).toMatchObject({ complete: true, unsearched: [] });
  expect(await counted('own', 'nadia@example.org')).toBe(0);
  expect(await counted('pair', 'nadia@example.org', 'shop-0')).toBe(0);
  expect(await counted('shop', 'shop-0')).toBe(16);
  expect(await counted('visits', 'shop-0')).toBe(1);
  expect(await counted('own', STAYS)).toBe(24);
  // Written anew: what LMDB leaves of deleted records is gone.
  expect(await files()).toHaveLength(1);
  expect(await files()).not.toEqual([file]);
  const after = await stored();
  const features = await platform.deps.features();
  for (const id of Object.keys(after)) await features.removeView(id);
  // The file that is the source still has the person.
  await refresh();
  expect(await stored()).toEqual(after);
  expect((await erase(PERSON)).found).toEqual([]);
});

it('what was half written is deleted, and written again without the person', async () => {
  const [id = ''] = Object.keys(await stored()).filter((view) => view.includes('/own/'));
  const features = await platform.deps.features();
  await features.removeView(id);
  await features.backend.write(id).then((writer) => writer.close());
  expect(await erase(PERSON)).toMatchObject({ complete: true });
  expect((await features.backend.views()).map(({ view }) => view)).not.toContain(id);
  await refresh();
  expect(await counted('own', STAYS)).toBe(24);
});

it('a materialisation that had read the person before is not taken for done', async () => {
  const store = await platform.deps.store();
  const person = Person.of({ entity: LATE, column: null, pipelines: null }, new Secrets(process.env));
  let asked = 0;
  visits = visits.replace('09:00', '09:01');
  web.answer((_request, response) => {
    // Payments, with this person, were read by now.
    asked++;
    void new Suppressions(store).add(person, [], 'a-certificate', UNTIL).then(() => response.end(visits));
  });
  await writeFile(
    join(platform.folder, 'payments.csv'),
    payments(['nadia@example.org', LATE, STAYS, 'late@example.org']),
  );
  await expect(refresh()).rejects.toMatchObject({
    type: 'StageFailed',
    nonRetryable: false,
    message: expect.stringMatching(/erased meanwhile/),
  });
  expect(asked).toBeGreaterThan(0);
  expect(await counted('own', LATE)).toBe(24);
  web.answer((_request, response) => response.end(visits));
  await refresh();
  expect(await counted('own', LATE)).toBe(0);
});

it('an erasure waits for a materialisation that goes on', async () => {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  visits = visits.replace('09:01', '09:02');
  web.answer((_request, response) => void released.then(() => response.end(visits)));
  const running = await platform.client.workflow.start(WORKFLOW_TYPES.materialization, {
    workflowId: 'features/by-hand',
    taskQueue: DEFAULT_TASK_QUEUE,
    args: [{ pipeline: PIPELINE, until: UNTIL }],
  });
  try {
    await expect.poll(() => web.asked.length, { timeout: 60_000 }).toBeGreaterThan(0);
    // What is looked for is asked of the same server.
    web.answer((_request, response) => response.end(visits));
    await expect(erase(STAYS)).rejects.toMatchObject({
      cause: { type: 'ErasureBlocked', message: expect.stringContaining('features/by-hand') },
    });
  } finally {
    release();
  }
  await running.result();
  expect(await erase(STAYS)).toMatchObject({ complete: true });
  expect(await counted('own', STAYS)).toBe(0);
  expect(await counted('own', 'late@example.org')).toBe(24);
});

it('a source that goes away between looking and erasing is told, and stands in nobody else’s way', async () => {
  const answered = (most: number): void => {
    let asked = 0;
    web.answer((_request, response) => {
      if (asked++ < most) response.end(visits);
      else response.writeHead(404).end();
    });
  };
  answered(Number.POSITIVE_INFINITY);
  await erase('late@example.org', { dryRun: true });
  answered(web.asked.length);
  const result = await erase('late@example.org');
  expect(result.found.map(({ kind }) => kind)).toContain('view own');
  expect(result).toMatchObject({ complete: false });
  expect(result.unsearched.map(({ kind }) => kind)).toContain('view own');
  answered(Number.POSITIVE_INFINITY);
  expect(await erase('nobody@example.org')).toMatchObject({ complete: true });
  expect(await counted('own', 'late@example.org')).toBe(0);
});

it('sources that cannot be read are told, and nothing is certified as complete', async () => {
  web.answer((_request, response) => response.writeHead(404).end());
  const { complete, unsearched } = await erase('somebody@example.org');
  expect(complete).toBe(false);
  const kept = unsearched.filter(({ store }) => store === 'features');
  expect(kept.map(({ kind }) => kind).sort()).toEqual(['view own', 'view pair', 'view shop', 'view visits']);
  for (const { why } of kept) expect(why).toContain('visits');
  // Also one that may be there again in a while.
  web.answer((request) => request.socket.destroy());
  expect(await erase('somebody@example.org')).toMatchObject({ complete: false });
});
