import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { takeSource } from '../../activities/source-snapshot.ts';
import type { EventBatch } from '../../contracts/events.ts';
import { SNAPSHOT_MANIFEST_TYPE } from '../../contracts/incremental.ts';
import { source } from '../../contracts/spec/sources.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { EventManifests } from '../../lib/events/event-manifests.ts';
import { snapshotFiles, snapshotRelation } from '../../lib/incremental/snapshots.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import { Secrets } from '../../lib/secrets.ts';
import { HostRules } from '../../lib/sources/hosts.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { RunManifests } from '../../lib/store/run-manifests.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { NO_ALERTS, seenWindow, watched } from '../support/monitoring-samples.ts';
import { dayWindow, observation } from '../support/window-reports.ts';

/** More than a chunk of a log holds, so that batches are named by a chunk and by the manifest itself. */
const BATCHES = 503;
/** Nothing is kept for its age. */
const NOTHING = { keepFailedRuns: '1ms', keepUnnamed: '1ms', keepCache: '1h' };

/** The report of the window of a day. */
const reportOf = (index: number) => ({ ...observation({ window: dayWindow(index) }), verdicts: [] });

let platform: TestPlatform;
let store: ArtifactStore;
let scratchDir: string;
let database: Database;
beforeAll(async () => {
  platform = await TestPlatform.start();
  scratchDir = join(platform.folder, 'test');
  store = (await platform.deps.store()).within(scratchDir);
  database = await Database.create({ tempDir: join(scratchDir, 'spill') });
}, 120_000);
afterAll(async () => {
  database?.close();
  await platform?.close();
}, 60_000);

/** Deletes all that nothing names; what nobody needs is proof that it does. */
async function collect(): Promise<void> {
  const unnamed = await store.putJson(`unnamed ${Math.random()}`);
  await sleep(20);
  await platform.run('collectGarbage', NOTHING);
  expect(await store.has(unnamed)).toBe(false);
}

it('every batch of an event log stays, in chunks and in the manifest', { timeout: 120_000 }, async () => {
  const manifests = new EventManifests(store, store.documents);
  const batches: EventBatch[] = [];
  for (let n = 0; n < BATCHES; n++) {
    const artifact = await store.putBytes(`{"call":${n}}\n`, 'application/jsonl', { encrypt: n % 2 === 0 });
    batches.push({ batchId: `batch-${n}`, artifact, rows: 1, format: 'jsonl' });
  }
  const none = await manifests.latest('calls');
  const { head } = await manifests.append('calls', none, batches.slice(0, 501), new Map());
  await manifests.append('calls', head, batches.slice(501), new Map());
  await collect();
  const afresh = new EventManifests(store, store.documents);
  const kept = await afresh.batches(await afresh.latest('calls'));
  expect(kept).toEqual(batches);
  for (const { artifact } of kept) expect(await store.has(artifact), artifact.uri).toBe(true);
});

it('every segment of an incremental source stays, and the snapshots that kept runs name', async () => {
  const path = join(platform.folder, 'trips.csv');
  const context = {
    database,
    store,
    options: {
      roots: [platform.folder],
      hosts: new HostRules([], []),
      secrets: new Secrets({}),
      scratchDir,
    },
  };
  const take = async (run: string, ...days: string[]) => {
    await writeFile(path, `id,at\n${days.map((day, id) => `${id},2026-01-${day}\n`).join('')}`);
    const spec = source.parse({ path, incremental: { watermark: 'at' } });
    return takeSource(context, 'trips', run, 'trips', spec);
  };
  const first = await take('run-1', '01', '02');
  await take('run-2', '01', '02', '03');
  const third = await take('run-3', '01', '02', '03', '04');
  expect(first.snapshot.artifact.mediaType).toBe(SNAPSHOT_MANIFEST_TYPE);
  // Of the three the first one alone is a run that is kept; the others have not ended.
  await new RunManifests(store.documents).write({
    workflowId: 'run-1',
    runId: 'r',
    outcome: 'deployed',
    endedAt: new Date(0).toISOString(),
    artifacts: [first.snapshot.artifact.sha256],
  });
  await collect();

  const ids = async ({ snapshot }: typeof first) =>
    (
      await database.rows(
        `SELECT id FROM ${snapshotRelation(await snapshotFiles(store, snapshot))} ORDER BY id`,
      )
    ).map(({ id }) => id);
  expect(await ids(first)).toEqual([0, 1]);
  // What comes next stands on all segments, also those that no kept run names.
  expect(await ids(await take('run-4', '01', '02', '03', '04', '05'))).toEqual([0, 1, 2, 3, 4]);
  expect(third.snapshot.rows).toBe(4);
});

it('what the watching of endpoints refers to stays; reports beyond the trend go', async () => {
  const json = (name: string) => store.putJson({ name }, { encrypt: true });
  const records = new MonitorRecords(store.documents);
  const settings = watched();
  const specRef = await json('spec');
  await records.changeSettings('bank', () => ({ ...settings, specRef }));
  const record = async (index: number) => {
    const report = await store.putJson(reportOf(index), { encrypt: true });
    const page = await json(`page ${index}`);
    const plot = await json(`plot ${index}`);
    const summary = seenWindow(dayWindow(index), [], { report, page, plot });
    await platform.run('recordWindow', { settings: { ...settings, specRef }, summary, alerts: NO_ALERTS });
    return { report, page, plot };
  };
  const [first, second] = [await record(0), await record(1)];
  const reference = await json('reference');
  await store.documents.write('monitoring/references/bank/x', reference);
  await collect();
  for (const kept of [specRef, reference, first.report, first.page, second.report, second.page, second.plot])
    expect(await store.has(kept)).toBe(true);

  await records.changeState('bank', (state) => state && { ...state, trend: state.trend.slice(1) });
  await collect();
  expect(await store.has(first.report)).toBe(false);
  expect(await store.has(first.page)).toBe(false);
  expect(await store.has(second.report)).toBe(true);

  // A state of another release, which this one cannot read, is no reason to delete what it names.
  await store.documents.write('monitoring/state/bank', { of: 'tomorrow', somewhere: [second.report] });
  await collect();
  expect(await store.has(second.report)).toBe(true);
});
