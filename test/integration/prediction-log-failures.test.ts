import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FRAME } from '../../lib/predictions/frames.ts';
import { openPredictions } from '../../lib/predictions/prediction-log.ts';
import { removeExpiredPredictions } from '../../lib/predictions/retention.ts';
import { PredictionRoller } from '../../lib/predictions/roller.ts';
import { Segment, segmentFiles } from '../../lib/predictions/segments.ts';
import { segmentsFolder } from '../../lib/predictions/settings.ts';
import { ownProcessName } from '../../lib/processes/process-name.ts';
import { PredictionLogFixture } from '../support/prediction-log-fixture.ts';
import { ServingWithLog } from '../support/serving-with-log.ts';
import { SmallDisk } from '../support/small-disk.ts';

const PROCESS = fileURLToPath(new URL('./prediction-log-process.ts', import.meta.url));
const ROLLER = fileURLToPath(new URL('./prediction-roll-process.ts', import.meta.url));
const TSX = ['--import', import.meta.resolve('tsx')];
const MIB = 2 ** 20;

let fixture: PredictionLogFixture;
beforeEach(async () => {
  fixture = await PredictionLogFixture.create();
});
afterEach(() => fixture.close());

const recordedIds = async (): Promise<{ request_id: string; rows: number }[]> => {
  const rows = await fixture.rows(
    'SELECT request_id, count(*) AS rows, count(DISTINCT row) AS distinct_rows FROM predictions GROUP BY 1',
  );
  // Nothing doubled, nothing torn: each request with each of its rows once.
  for (const row of rows) expect(row.rows).toBe(row.distinct_rows);
  return rows.map((row) => ({ request_id: String(row.request_id), rows: Number(row.rows) }));
};

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10);
}

describe('the disk of the log', () => {
  it('may be full: serving goes on, what is lost is counted, and it recovers by itself', async (context) => {
    const folder = join(fixture.config.dataDir, 'predictions');
    await mkdir(folder, { recursive: true });
    const disk = SmallDisk.mount(folder, 3);
    if (!disk) return context.skip('a tmpfs cannot be mounted here');
    const said: string[] = [];
    const logger = {
      warn: (facts: object) => said.push(`warn ${JSON.stringify(facts)}`),
      info: () => said.push('info'),
    };
    try {
      await writeFile(join(folder, 'ballast'), Buffer.alloc(2.5 * MIB));
      const serving = await ServingWithLog.create(fixture, {
        logger,
        writeMs: 5,
        memory: { block: 16_384, memory: 200_000 },
      });
      const { log } = serving;
      let asked = 0;
      while (log.stats().dropped.disk < 50) {
        await serving.ask(`r-${asked++}`, 20);
        if (asked % 20 === 0) await sleep(1);
      }
      expect(log.stats().healthy).toBe(false);
      expect((await statfs(folder)).bavail * (await statfs(folder)).bsize).toBeLessThan(64 * 1024);
      expect(await log.recordTruths([truth('r-0')])).toBe(false);
      await rm(join(folder, 'ballast'));
      await until(() => log.stats().healthy);
      for (let i = 0; i < 100; i++) await serving.ask(`r-${asked++}`, 20);
      expect(await log.flush()).toBe(true);
      const { recorded, dropped } = log.stats();
      expect(recorded + dropped.disk + dropped.memory).toBe(asked);
      const found = await recordedIds();
      expect(found).toHaveLength(recorded);
      expect(found.every(({ rows }) => rows === 20)).toBe(true);
      expect(found.map(({ request_id }) => request_id)).toContain(`r-${asked - 1}`);
      expect(said).toEqual(['warn {"reason":"ENOSPC"}', 'info']);
      await log.close();
      expect((await fixture.roll()).rows).toBe(recorded * 20 + log.stats().truths);
      expect(await recordedIds()).toHaveLength(recorded);
    } finally {
      disk.unmount();
    }
  });

  it('may be read-only, and come back', async (context) => {
    const folder = join(fixture.config.dataDir, 'predictions');
    await mkdir(folder, { recursive: true });
    const disk = SmallDisk.mount(folder, 8);
    if (!disk) return context.skip('a tmpfs cannot be mounted here');
    try {
      const serving = await ServingWithLog.create(fixture, { writeMs: 5 });
      const { log } = serving;
      await serving.ask('before');
      expect(await log.flush()).toBe(true);
      // Somebody who writes keeps a disk from being made read-only: the segment is closed first.
      await log.close();
      disk.remount('ro');
      const next = await ServingWithLog.create(fixture, { writeMs: 5 }, { generation: 2 });
      for (let i = 0; i < 50; i++) await next.ask(`during-${i}`);
      expect(await next.log.flush()).toBe(false);
      expect(next.log.stats()).toMatchObject({ healthy: false, recorded: 50 });
      disk.remount('rw');
      await until(() => next.log.stats().healthy && next.log.stats().bufferedBytes === 0);
      expect(await recordedIds()).toHaveLength(51);
    } finally {
      disk.unmount();
    }
  });

  it('may be missing altogether: a file lies where its folder should be', async () => {
    const folder = join(fixture.config.dataDir, 'predictions');
    await writeFile(folder, '');
    const serving = await ServingWithLog.create(fixture, { writeMs: 5 });
    await serving.ask('waits');
    expect(await serving.log.flush()).toBe(false);
    await rm(folder);
    await until(() => serving.log.stats().healthy);
    expect(await recordedIds()).toEqual([{ request_id: 'waits', rows: 1 }]);
  });

  it('is used up to its cap, and no further, until segments are archived', async () => {
    const serving = await ServingWithLog.create(await capped(20_000), { writeMs: 5, rotateBytes: 5_000 });
    const { log } = serving;
    let asked = 0;
    while (log.stats().dropped.room === 0) {
      await serving.ask(`r-${asked++}`, 10);
      if (asked % 10 === 0) await log.flush();
    }
    expect(log.stats().healthy).toBe(false);
    await fixture.roll();
    await log.flush();
    await serving.ask('again');
    await log.flush();
    expect((await recordedIds()).map(({ request_id }) => request_id)).toContain('again');
    expect(log.stats().recorded + log.stats().dropped.room).toBe(asked + 1);
  });
});

/** The same data directory with a cap on its segments. */
async function capped(spoolBytes: number): Promise<PredictionLogFixture> {
  return PredictionLogFixture.over({ ...fixture.config, predictions: { spoolBytes } }, fixture.store);
}

const truth = (requestId: string) => ({
  endpoint: 'churn',
  requestId,
  row: null,
  entity: null,
  observedAt: null,
  receivedAt: Date.now(),
  value: 1,
  label: null,
  metrics: {},
});

describe('a server that is killed', () => {
  it('loses only what was not written: nothing torn is read, nothing doubled', async () => {
    for (const [instance, lines] of [
      ['a', 1],
      ['b', 3],
      ['c', 6],
    ] as const) {
      const child = spawn(process.execPath, [...TSX, PROCESS, fixture.config.dataDir, instance], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let written = 0;
      let seen = 0;
      const ended = once(child, 'exit');
      for await (const line of createInterface(child.stdout)) {
        written = Number(line);
        if (++seen === lines) break;
      }
      // Somewhere in the next requests.
      await sleep(lines * 7);
      child.kill('SIGKILL');
      await ended;
      const numbers = (await recordedIds())
        .filter(({ request_id }) => request_id.startsWith(`${instance}-`))
        .map(({ request_id, rows }) => {
          expect(rows).toBe(3);
          return Number(request_id.slice(2));
        })
        .sort((one, other) => one - other);
      expect(numbers.length).toBeGreaterThanOrEqual(written);
      expect(numbers).toEqual(numbers.map((_, i) => i));
    }
    const before = await recordedIds();
    await fixture.roll();
    expect(await segmentFiles(segmentsFolder(fixture.config))).toEqual([]);
    expect((await recordedIds()).length).toBe(before.length);
  });

  it('leaves a tail that is cut, wherever the write broke off', async () => {
    const { truncate, stat } = await import('node:fs/promises');
    const serving = await ServingWithLog.create(fixture);
    for (let i = 0; i < 5; i++) {
      await serving.ask(`r-${i}`, 7);
      await serving.log.flush();
    }
    const [segment] = await segmentFiles(segmentsFolder(fixture.config));
    const path = segment?.path ?? '';
    const { size } = await stat(path);
    const counts = new Set<number>();
    for (let cut = size; cut >= 0; cut = cut > 97 ? cut - 97 : cut - 1) {
      await truncate(path, cut);
      if (cut % 5 !== 0 && cut > 70) continue;
      const found = await recordedIds();
      expect(found.every(({ rows }) => rows === 7)).toBe(true);
      counts.add(found.length);
    }
    expect([...counts].sort()).toEqual(expect.arrayContaining([0, 1, 2, 3, 4]));
  });
});

describe('rolling that is killed', () => {
  it('leaves the segment or its files, and a roll after that makes it whole: nothing is lost or doubled', async () => {
    const serving = await ServingWithLog.create(fixture, { rotateBytes: 20_000 });
    for (let i = 0; i < 400; i++) {
      await serving.ask(`r-${i}`, 5);
      if (i % 40 === 0) await serving.log.flush();
    }
    await serving.log.close();
    expect((await segmentFiles(segmentsFolder(fixture.config))).length).toBeGreaterThan(3);
    for (const waitMs of [0, 20, 60, 150, 5]) {
      const child = spawn(process.execPath, [...TSX, ROLLER, fixture.config.dataDir], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      await once(child.stdout, 'data');
      await sleep(waitMs);
      child.kill('SIGKILL');
      await ended;
      expect(await recordedIds()).toHaveLength(400);
    }
    await fixture.roll();
    expect(await segmentFiles(segmentsFolder(fixture.config))).toEqual([]);
    expect(await recordedIds()).toHaveLength(400);
  });

  it('takes up a segment whose files are there already without touching them', async () => {
    const { copyFile } = await import('node:fs/promises');
    const serving = await ServingWithLog.create(fixture);
    await serving.ask('r-1', 2);
    await serving.log.close();
    const [segment] = await segmentFiles(segmentsFolder(fixture.config));
    const path = segment?.path ?? '';
    await copyFile(path, join(fixture.config.dataDir, 'copy'));
    await fixture.roll();
    await copyFile(join(fixture.config.dataDir, 'copy'), path);
    expect(await recordedIds()).toEqual([{ request_id: 'r-1', rows: 2 }]);
    expect(await fixture.roll()).toMatchObject({ segments: 1, files: 0 });
    expect(await recordedIds()).toEqual([{ request_id: 'r-1', rows: 2 }]);
  });

  it('sets aside what cannot be read, and goes on with the others', async () => {
    const serving = await ServingWithLog.create(fixture);
    await serving.ask('r-1');
    await serving.log.close();
    const folder = join(segmentsFolder(fixture.config), 's1');
    await writeFile(join(folder, '000-broken-000001.seg'), Buffer.alloc(500, 7));
    const lost = { id: 'lost', secret: randomBytes(32) };
    const frame = Buffer.alloc(16);
    frame.writeUInt32LE(16, 0);
    frame[4] = FRAME.truth;
    frame.write('\x02\0\0\0{}', 8, 'latin1');
    for (const [writer, key] of [
      ['001-lost', lost],
      ['002-other', undefined],
    ] as const) {
      const segment = await Segment.begin(folder, writer, 1, key);
      await segment.append(frame);
      await segment.close();
    }
    const names = ['000-broken', '001-lost', '002-other'].map((name) => `s1~${name}-000001`);
    const left = async () => {
      const { scratchDir } = fixture;
      await mkdir(scratchDir, { recursive: true });
      const opened = await openPredictions(fixture.config, 'churn', { scratchDir });
      await opened.close();
      return opened.unreadable.map(({ place }) => place);
    };
    expect(await left()).toEqual(names);
    expect(await recordedIds()).toHaveLength(1);
    const { unreadable, segments } = await fixture.roll();
    expect(unreadable.map(({ place }) => place)).toEqual(names);
    expect(unreadable.map(({ why }) => why)).toEqual([
      expect.stringContaining('is no segment'),
      expect.stringContaining('does not hold the key "lost"'),
      expect.stringContaining('not what this version writes'),
    ]);
    expect(segments).toBe(1);
    expect(await left()).toEqual(names);
    const next = await fixture.log('s1');
    await next.recordTruths([truth('r-1')]);
    await next.flush();
    expect(next.stats()).toMatchObject({ unreadable: 3, healthy: true });
    expect(next.stats().spoolBytes).toBeLessThan(500);
    expect(await removeExpiredPredictions(fixture.config, Date.now() + 100 * 86_400_000)).toBe(4);
    expect(await left()).toEqual([]);
  });

  it('leaves nothing in clear when it is ended, and takes away what a killed one left', async () => {
    const serving = await ServingWithLog.create(fixture, { rotateBytes: 100_000 });
    for (let i = 0; i < 60; i++) {
      await serving.ask(`r-${i}`, 500);
      await serving.log.flush();
    }
    await serving.log.close();
    const scratch = join(fixture.config.dataDir, 'scratch');
    const [where] = ownProcessName().split('.');
    await mkdir(join(scratch, `${where}.1.1.dead`), { recursive: true });
    await writeFile(join(scratch, `${where}.1.1.dead`, 'left.parquet'), 'PAR1');
    const said: object[] = [];
    const logger = { warn: (facts: object) => said.push(facts) };
    const roller = PredictionRoller.start({ config: fixture.config, everyMs: 10, logger });
    const inClear = async (): Promise<number> => {
      try {
        const names = await readdir(scratch, { recursive: true });
        return names.filter((name) => name.endsWith('.parquet')).length;
      } catch (error) {
        // A folder below may go while it is listed: then its files are looked for again.
        if (existsSync(scratch) && error instanceof Error && error.message.startsWith('ENOENT'))
          return inClear();
        throw error;
      }
    };
    while ((await inClear()) > 0) await sleep(1);
    const waiting = async () => (await segmentFiles(segmentsFolder(fixture.config))).length > 0;
    while ((await inClear()) === 0 && (await waiting())) await sleep(1);
    await roller.close();
    expect(await inClear()).toBe(0);
    expect(said).toEqual([]);
    expect(await recordedIds()).toHaveLength(60);
  });
});
