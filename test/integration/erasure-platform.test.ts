import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { erasureText } from '../../client/commands/erase.ts';
import { PerennialClient } from '../../client/perennial-client.ts';
import { QUERIES } from '../../contracts/names.ts';
import { type ArtifactRef, artifactRef } from '../../contracts/refs.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { stageOutputs } from '../../contracts/stages.ts';
import { certificateKey } from '../../lib/erasure/certificates.ts';
import { RowCatalogue } from '../../lib/erasure/row-catalogue.ts';
import { EventManifests } from '../../lib/events/event-manifests.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { pseudonymOf } from '../../lib/privacy/pseudonym.ts';
import { httpCache } from '../../lib/sources/options.ts';
import { PSEUDONYM_KEY } from '../support/erasure-fixture.ts';
import { NO_CACHE } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { linearCongruential } from '../support/integration-random.ts';
import { sightings, sightingsOfAll, type Traces } from '../support/sightings.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where source files may lie; outside of the data directory. */
const FOLDER = join(ROOT, '.perennial', `erasure-test-${process.pid}`);

const PERSON = { id: 'cust-needle-4711', email: 'nadia.needle@example.com', name: 'Nadia Nadelmann' };
/** Somebody in the same places, whom nobody asked to erase. */
const STAYS = { id: 'cust-stays-0815', email: 'stella.stays@example.com', name: 'Stella Stehfest' };
const KEY = { key: PSEUDONYM_KEY, version: 'v1' };
const tracesOf = (person: typeof PERSON, number: number): Traces => ({
  texts: [...Object.values(person), pseudonymOf(person.id, undefined, KEY)],
  number,
});
const TRACES = tracesOf(PERSON, 987_654.321);
const OTHER = tracesOf(STAYS, 876_543.125);
/** Rows of the person: one for each part, and one that is quarantined. */
const NEEDLES = { 100: '2024-02-01', 400: '2024-08-01', 700: '2024-11-01', 50: '2024-01-20' } as const;

function people(known = [PERSON, STAYS]): string {
  const random = linearCongruential(4_000, 7);
  const lines = ['customer,email,name,at,age,amount,label'];
  for (let i = 0; i < 900; i++) {
    const [age = 0, amount = 0, noise = 0] = random.slice(i * 4, i * 4 + 3);
    const day = new Date(Date.UTC(2024, 0, 1) + (i * 365 * 86_400_000) / 900).toISOString().slice(0, 10);
    const label = age + noise * 0.3 > 0.6 ? 'yes' : 'no';
    lines.push(
      `c${String(i % 300).padStart(5, '0')},p${i % 300}@example.org,Person ${i % 300},${day},${18 + Math.floor(age * 60)},${(amount * 1000).toFixed(2)},${label}`,
    );
    const at = Object.entries(NEEDLES).find(([row]) => Number(row) === i)?.[1];
    for (const person of at === undefined ? [] : known) {
      const { number } = person === PERSON ? TRACES : OTHER;
      lines.push(`${person.id},${person.email},${person.name},${at},${i === 50 ? 999 : 41},${number},yes`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** By source, how often each customer is in it. */
const countOf = (source: string): string =>
  `(SELECT customer, count(*) AS ${source}_count FROM ${source} GROUP BY customer) AS ${source}`;

const input = (changes: object = {}) => ({
  name: 'clients',
  task: 'binary',
  data: {
    sources: {
      people: { path: join(FOLDER, 'people.csv') },
      calls: { events: 'calls' },
      visits: { path: join(FOLDER, 'visits-*.csv'), incremental: { newFiles: true } },
    },
    sql: `SELECT people.*, calls_count, visits_count FROM people LEFT JOIN ${countOf('calls')} USING (customer) LEFT JOIN ${countOf('visits')} USING (customer)`,
  },
  columns: { target: 'label', entity: ['customer'], timestamp: 'at', ignored: ['name', 'email'] },
  privacy: {
    subject: 'customer',
    columns: {
      customer: 'pseudonym',
      email: { kind: 'email', action: 'mask' },
      name: { kind: 'person_name', action: 'drop' },
    },
    pseudonymKey: '${env:PERENNIAL_SECRET_PSEUDONYM_KEY}',
    detection: { verified: 'warn', likely: 'off' },
  },
  expectations: [{ expect: 'range', column: 'age', max: 120, rows: 'quarantine' }],
  split: { method: 'time', train: { before: '2024-07-01' }, validation: { before: '2024-10-01' } },
  candidates: [{ trainer: 'lightgbm', maxIterations: 20 }],
  evaluation: { gates: [] },
  deployment: { precheck: { rows: 1_000 } },
  approval: { required: false },
  ...changes,
});
const spec = (changes: object = {}): PipelineSpec => pipelineSpec.parse(input(changes));

let platform: TestPlatform;
let perennial: PerennialClient;

beforeAll(async () => {
  process.env.PERENNIAL_SECRET_PSEUDONYM_KEY = PSEUDONYM_KEY;
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, 'people.csv'), people());
  await writeFile(join(FOLDER, 'visits-1.csv'), `customer,place\n${PERSON.id},a\nc00002,b\n${STAYS.id},c\n`);
  platform = await TestPlatform.start();
  perennial = new PerennialClient(platform.client, platform.config.taskQueue);
  await platform.takeLease();
}, 120_000);
afterAll(async () => {
  delete process.env.PERENNIAL_SECRET_PSEUDONYM_KEY;
  await platform?.close();
  await rm(FOLDER, { recursive: true, force: true });
}, 60_000);

/** Tells the process that the command starts, as the command does. */
async function storeRequest(request: object): Promise<ArtifactRef> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(ROOT, 'workers/main.ts'), 'person'], {
    cwd: ROOT,
    env: { ...process.env, PERENNIAL_DATA_DIR: platform.config.dataDir },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdin.end(JSON.stringify(request));
  const text = Buffer.concat(await child.stdout.toArray()).toString('utf8');
  if (child.exitCode === null) await once(child, 'exit');
  return artifactRef.parse(JSON.parse(text).request);
}

/** Runs a whole lifecycle as a client would, and gives its outputs. */
async function lifecycle(changes: object = {}) {
  const { workflowId } = await perennial.start(input(changes));
  expect(await perennial.result(workflowId)).toMatchObject({ outcome: 'deployed' });
  return stageOutputs.parse(await perennial.temporal.workflow.getHandle(workflowId).query(QUERIES.outputs));
}

/** What the places are, as the catalogue, the event log and the folders say. */
async function kindsOf(places: readonly string[]): Promise<string[]> {
  const store = await platform.deps.store();
  const catalogue = await new RowCatalogue(store.documents).all();
  const manifests = new EventManifests(store, store.documents);
  const batches = (await manifests.batches(await manifests.latest('calls'))).map(
    ({ artifact }) => artifact.sha256,
  );
  const kinds = places.flatMap((place) => {
    const [, two = '', rest = ''] = /^artifacts\/sha256\/(..)\/([0-9a-f]{62})/.exec(place) ?? [];
    if (two === '') return [place.replace(/[0-9a-f]{32}/g, '*').replace(/\d+$/, '')];
    if (batches.includes(two + rest)) return ['batch'];
    return catalogue.get(two + rest)?.kinds ?? [`unknown ${two}${rest}`];
  });
  return [...new Set(kinds)].sort();
}

const decoded = (places: readonly string[]): { parquet: number; npy: number } => ({
  parquet: places.filter((place) => place.endsWith('(Parquet)')).length,
  npy: places.filter((place) => place.endsWith('(npy)')).length,
});

async function* calls(): AsyncGenerator<Uint8Array> {
  for (const customer of [PERSON.id, 'c00001', STAYS.id])
    yield Buffer.from(`${JSON.stringify({ customer, seconds: 12 })}\n`);
}
const pushed = async () =>
  storeRows(calls(), 'jsonl', { store: await platform.deps.store(), dataDir: platform.config.dataDir });

describe('a person who went through whole lifecycles', () => {
  it('is found everywhere before the erasure, and nowhere after it', async () => {
    const batch = await pushed();
    await perennial.append('calls', batch);
    const first = await lifecycle();
    // Its data part comes from the step cache; its validation is another one, against the champion.
    const second = await lifecycle({ candidates: [{ trainer: 'lightgbm', maxIterations: 21 }] });
    for (const stage of ['ingest', 'protect', 'split', 'prepare'] as const)
      expect([stage, second[stage]?.cache?.hit]).toEqual([stage, true]);
    // Pinned to the snapshot that the first one took.
    const pin = first.ingest?.sources.find(({ name }) => name === 'people')?.snapshot.artifact.sha256;
    const { data } = input();
    await lifecycle({
      data: { ...data, sources: { ...data.sources, people: { ...data.sources.people, pin } } },
      candidates: [{ trainer: 'lightgbm', maxIterations: 22 }],
    });
    await writeFile(
      join(FOLDER, 'strangers.csv'),
      `${people([STAYS])}c99999,p9@example.org,Person 9,2024-03-01,50,1.5,no\n`,
    );
    await lifecycle({
      name: 'strangers',
      data: { sources: { people: { path: join(FOLDER, 'strangers.csv') } } },
    });
    const remembered = httpCache(platform.config);
    await mkdir(join(remembered, 'an-address'), { recursive: true });
    await writeFile(join(remembered, 'an-address', 'body'), people());

    const [before = [], others = []] = await sightingsOfAll(platform, [TRACES, OTHER]);
    // What an array of labels holds of the person cannot be told from others; a page shows no row of the person here.
    expect(await kindsOf(before)).toEqual([
      'batch',
      'features',
      'joined',
      'mlflow/artifacts/1/*/artifacts/validation/report.json',
      'protected',
      'quarantine',
      'report',
      'samples',
      'snapshot',
      'sources/http/an-address/body',
      'test',
      'train',
      'validated',
      'validation',
    ]);
    const store = await platform.deps.store();
    // As float32 it is 987654.3125.
    const samples = first.evaluate?.samples;
    expect(samples && JSON.stringify(await store.json(samples)).includes('987654.3125')).toBe(true);
    const files = await readdir(platform.config.dataDir, { recursive: true });
    const examples = files.filter((file) => /input_example\.json$/.test(file));
    // One of each logged model, none of which shows anybody.
    expect(examples.length).toBeGreaterThanOrEqual(4);
    expect(files.some((file) => /temporal.*-wal$/.test(file))).toBe(true);

    const digests = async () => (await store.blobs()).map(({ sha256 }) => sha256).sort();
    const stored = await digests();
    const dry = await perennial.erase({ request: await storeRequest({ entity: PERSON.id }), dryRun: true });
    expect(await digests()).toEqual(stored);
    const request = await storeRequest({ entity: PERSON.id });
    const result = await perennial.erase({ request, by: 'dpo', reason: 'request 1' });
    expect(dry).toEqual({ ...result, certificate: null });
    expect(result.unsearched).toEqual([]);
    expect(result.complete).toBe(true);
    const rows = Object.fromEntries(result.found.map(({ kind, rows: count }) => [kind, count]));
    expect(rows).toMatchObject({
      snapshot: 6,
      joined: 4,
      validated: 3,
      quarantine: 1,
      protected: 3,
      train: 1,
      validation: 1,
      test: 1,
      features: 2,
      labels: 2,
      samples: 3,
      'event log calls': 1,
    });
    expect(result.found.flatMap(({ pipelines }) => pipelines)).not.toContain('strangers');
    // Also those of the cached data part and of the pinned snapshot; none of the other pipeline.
    expect(result.models.map(({ name, version, parts, aliases }) => [name, version, parts, aliases])).toEqual(
      [
        ['clients', '1', ['train', 'validation'], []],
        ['clients', '2', ['train', 'validation'], []],
        ['clients', '3', ['train', 'validation'], ['champion']],
      ],
    );
    expect(erasureText(result)).toContain('champion');
    expect(existsSync(remembered)).toBe(false);

    const [left, after = []] = await sightingsOfAll(platform, [TRACES, OTHER]);
    expect(left).toEqual([]);
    expect(decoded(after)).toEqual(decoded(others));
    const tags = (await platform.deps.mlflow().modelVersions.get({ name: 'clients', version: '1' })).tags;
    expect(tags['perennial.erasure']).toBe(result.certificate);
    const certificate = await store.documents.read(certificateKey(result.certificate ?? ''));
    expect(certificate?.value).toMatchObject({ by: 'dpo', complete: true });
  }, 600_000);

  it('does not come back with the next run from the same sources, nor with a batch that is sent again', async () => {
    const { head } = await perennial.eventLog('calls');
    expect(await perennial.append('calls', await pushed())).toMatchObject({ duplicate: true, offset: 0 });
    expect((await perennial.eventLog('calls')).head).toEqual(head);
    const ingest = await platform.run('ingest', { spec: spec(), cache: NO_CACHE });
    expect(ingest.sources.find(({ name }) => name === 'people')?.suppressed).toBe(4);
    expect(ingest.table.rows).toBe(904);
    expect(await sightings(platform, TRACES)).toEqual([]);
  });

  it('is not found a second time', async () => {
    const again = await perennial.erase({ request: await storeRequest({ entity: PERSON.id }) });
    expect(again).toMatchObject({ complete: true, found: [], models: [] });
  });

  it('is known of sources as soon as they are taken, also where the run goes no further', async () => {
    const broken = spec({ name: 'broken', data: { ...input().data, sql: 'SELECT nothing FROM people' } });
    await expect(platform.run('ingest', { spec: broken, cache: NO_CACHE })).rejects.toThrow();
    const entries = await new RowCatalogue((await platform.deps.store()).documents).all();
    const known = [...entries.values()].filter(({ pipelines }) => pipelines.includes('broken'));
    expect(known.length).toBeGreaterThanOrEqual(3);
    for (const { kinds, subject } of known)
      expect([kinds.includes('snapshot'), subject.length]).toEqual([true, 1]);
  });

  it('leaves other artifacts alone, whatever the workflow is told to erase', async () => {
    const store = await platform.deps.store();
    const model = await store.putJson({ not: 'a request' }, { encrypt: true });
    await expect(perennial.erase({ request: model })).rejects.toThrow();
    expect(await store.json(model)).toEqual({ not: 'a request' });
  });
});
