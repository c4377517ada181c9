import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findPython } from '../../client/platform/programs.ts';
import type { EventLogHead } from '../../contracts/events.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { certificate } from '../../lib/erasure/certificates.ts';
import { LogSubjects } from '../../lib/erasure/log-subjects.ts';
import { storePerson } from '../../lib/erasure/person.ts';
import { RowCatalogue } from '../../lib/erasure/row-catalogue.ts';
import { subjectColumns } from '../../lib/erasure/subject-column.ts';
import { EventManifests } from '../../lib/events/event-manifests.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { writeNpy } from '../../lib/npy.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { documentsBelow } from '../../lib/store/documents.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { personalSpec } from '../support/erasure-fixture.ts';
import { sightings, type Traces } from '../support/sightings.ts';

const MINUTE = 60_000;
const TABLES = 16;
const BATCHES = 8;
/** Two are erased at the same time: whoever comes next finishes what the other one left open. */
const PEOPLE = ['needle-anna', 'needle-bert'] as const;
const STAYS = 'needle-cara';

let chaos: ChaosPlatform;
let store: ArtifactStore;
beforeAll(async () => {
  chaos = await ChaosPlatform.create('erasure');
  store = await ArtifactStore.create(join(chaos.dataDir, 'artifacts'));
  await fill();
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

const traces = (name: string, number: number): Traces => ({ texts: [name], number });
const look = (of: Traces) =>
  sightings(
    {
      config: { dataDir: chaos.dataDir, python: findPython(undefined) },
      client: chaos.perennial.temporal,
    },
    of,
  );

async function* sent(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

/** What runs would have stored: tables, a matrix of each, and pushed rows. All hold all three people. */
async function fill(): Promise<void> {
  const folder = join(chaos.folder, 'rows');
  await mkdir(folder);
  const database = await Database.create({ tempDir: folder, threads: 1 });
  const catalogue = new RowCatalogue(store.documents);
  const spec = personalSpec({ columns: {} });
  const subject = subjectColumns(spec, ['customer'], { state: 'raw' });
  const names = [...PEOPLE, STAYS, 'dora'];
  for (let i = 0; i < TABLES; i++) {
    const path = join(folder, String(i));
    const ids = names.map((name) => `'${name}'`).join(', ');
    await database.copyToParquet(`SELECT unnest([${ids}]) AS customer, ${i} AS n`, path);
    const artifact = await store.putFile(path, MEDIA_TYPES.parquet, { encrypt: i % 2 === 0 });
    await catalogue.record(spec, { artifact, kind: 'train', subject });
    await writeNpy(`${path}.npy`, Float32Array.of(5_000_001, 6_000_001, 7_000_001, i), [4]);
    await catalogue.record(spec, {
      artifact: await store.putFile(`${path}.npy`, MEDIA_TYPES.npy),
      kind: 'features',
      format: 'npy',
      rowsOf: { sha256: artifact.sha256 },
    });
  }
  database.close();
  await new LogSubjects(store.documents).record(spec, 'calls', subject);
  let head: EventLogHead = { manifest: null, format: null, batches: 0, rows: 0 };
  const manifests = new EventManifests(store, store.documents);
  for (let i = 0; i < BATCHES; i++) {
    const text = names.map((customer) => `${JSON.stringify({ customer, i })}\n`).join('');
    const batch = await storeRows(sent(text), 'jsonl', { store, dataDir: chaos.dataDir });
    ({ head } = await manifests.append('calls', head, [batch], new Map()));
  }
  await rm(folder, { recursive: true });
}

const documentsIn = (folder: string): Promise<string[]> =>
  readdir(join(chaos.dataDir, 'artifacts', folder)).catch(() => []);

/** Kills the worker when `count` documents are in a folder of the store, and starts another one. */
async function killAt(folder: string, count: number): Promise<void> {
  while ((await documentsIn(folder)).length < count) await sleep(2);
  await chaos.kill('worker');
  await chaos.startWorker();
}

describe('a worker that is killed in the middle of erasures', () => {
  it('leaves nobody half erased: no trace, one certificate and one entry of the list for each', {
    timeout: 4 * MINUTE,
  }, async () => {
    const [anna, bert] = [traces(PEOPLE[0], 5_000_001), traces(PEOPLE[1], 6_000_001)];
    const cara = traces(STAYS, 7_000_001);
    expect((await look(bert)).length).toBeGreaterThanOrEqual(TABLES * 2 + BATCHES);

    const requests = await Promise.all(
      PEOPLE.map((entity) => storePerson(store, { entity, column: null, pipelines: null })),
    );
    const erasures = Promise.all(requests.map((request) => chaos.perennial.erase({ request, by: 'dpo' })));
    const steps = TABLES * 2 + BATCHES;
    // In the middle of the first plan, and near the end of the second one.
    await killAt('erased', Math.floor(steps / 3));
    await killAt('erased', steps + Math.floor(steps / 2));
    const results = await erasures;

    expect(results.map(({ complete, unsearched }) => ({ complete, unsearched }))).toEqual(
      PEOPLE.map(() => ({ complete: true, unsearched: [] })),
    );
    expect(await look(anna)).toEqual([]);
    expect(await look(bert)).toEqual([]);
    expect((await look(cara)).length).toBeGreaterThanOrEqual(TABLES * 2 + BATCHES);

    const numbers = results.map((result) => result.certificate);
    const certificates: string[] = [];
    for await (const { value } of documentsBelow(store.documents, 'certificates/'))
      certificates.push(certificate.parse(value).certificate);
    expect(certificates.sort()).toEqual([...numbers].sort());
    expect((await documentsIn('suppressed')).sort()).toEqual(numbers.map((n) => `${n}.json`).sort());
    // Neither a plan nor a request is left.
    expect(await documentsIn('erasure')).toEqual(['taken']);
    expect(await documentsIn('erasure/taken')).toEqual([]);
    for (const request of requests) expect(await store.touch(request)).toBe(false);
    const head = await new EventManifests(store, store.documents).latest('calls');
    expect(head).toMatchObject({ batches: BATCHES, rows: BATCHES * 4 });
  });
});
