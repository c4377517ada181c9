import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Appended, type EventBatch, eventLogStart } from '../../contracts/events.ts';
import { SIGNALS, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { EventManifests } from '../../lib/events/event-manifests.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { cliJson, startCli } from '../support/e2e-cli.ts';

const MINUTE = 60_000;
let chaos: ChaosPlatform;
let manifests: EventManifests;
beforeAll(async () => {
  chaos = await ChaosPlatform.create('events');
  const store = await ArtifactStore.create(join(chaos.dataDir, 'artifacts'));
  manifests = new EventManifests(store, store.documents);
}, 2 * MINUTE);
afterAll(() => chaos.close(), MINUTE);

const idsOf = async (log: string): Promise<string[]> => {
  const { head } = await chaos.perennial.eventLog(log);
  return (await manifests.batches(head)).map(({ batchId }) => batchId);
};
const where = () => ({ dataDir: chaos.dataDir });
async function* rowsOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
const rowsFile = async (name: string, text: string): Promise<string> => {
  const file = join(chaos.folder, name);
  await writeFile(file, text);
  return file;
};

describe.sequential('rows that are pushed', () => {
  it('are appended once where the client was killed after they were stored, and sends again', {
    timeout: 4 * MINUTE,
  }, async () => {
    const file = await rowsFile('once.jsonl', '{"call":1}\n');
    // Nobody answers: the client has stored the rows and waits for the log.
    await chaos.kill('worker');
    const client = startCli(['ingest', 'calls', '--file', file], where());
    await expect
      .poll(
        async () => {
          const store = await ArtifactStore.create(join(chaos.dataDir, 'artifacts'));
          return (await store.blobs()).length;
        },
        { timeout: MINUTE },
      )
      .toBeGreaterThan(0);
    client.child.kill('SIGKILL');
    await client.ended;
    await chaos.startWorker();
    const answer = await cliJson<Appended>(['ingest', 'calls', '--file', file], where());
    expect(answer).toMatchObject({ offset: 0, rows: 1 });
    expect(await cliJson<Appended>(['ingest', 'calls', '--file', file], where())).toMatchObject({
      offset: 0,
      duplicate: true,
    });
    expect(await idsOf('calls')).toHaveLength(1);
  });

  it('are appended once each while the worker is killed again and again', {
    timeout: 3 * MINUTE,
  }, async () => {
    const store = await ArtifactStore.create(join(chaos.dataDir, 'artifacts'));
    const batches: EventBatch[] = [];
    for (let i = 0; i < 12; i++)
      batches.push(await storeRows(rowsOf(`{"trip":${i}}\n`), 'jsonl', { store, dataDir: chaos.dataDir }));
    const send = (batch: EventBatch) =>
      chaos.perennial.temporal.workflow.signalWithStart(WORKFLOW_TYPES.eventLog, {
        ...eventLogStart('trips', chaos.perennial.taskQueue),
        signal: SIGNALS.append,
        signalArgs: [batch],
      });
    for (const [i, batch] of batches.entries()) {
      // Twice each: senders do not know what became of the first one.
      await send(batch);
      await send(batch);
      if (i === 4 || i === 9) {
        await chaos.kill('worker');
        await chaos.startWorker();
      }
    }
    await expect
      .poll(
        async () => {
          const { pending, refused, head } = await chaos.perennial.eventLog('trips');
          return { pending, refused, rows: head.rows };
        },
        { timeout: 2 * MINUTE },
      )
      .toEqual({ pending: [], refused: [], rows: batches.length });
    expect(await idsOf('trips')).toEqual(batches.map(({ batchId }) => batchId));
  });
});
