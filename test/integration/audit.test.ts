import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AuditAnswer, AuditQuestion } from '../../contracts/audit.ts';
import { recordDigest } from '../../lib/audit/audit-chain.ts';
import { AuditDocuments } from '../../lib/audit/audit-documents.ts';
import { AuditFiles } from '../../lib/audit/audit-file.ts';
import { AuditLog } from '../../lib/audit/audit-log.ts';
import { openAuditLog } from '../../lib/audit/open-audit-log.ts';
import { FileDocuments } from '../../lib/store/file-documents.ts';
import { auditEntryOf } from '../support/audit-entries.ts';
import { storeOnAMachine, TestBucket } from '../support/stores.ts';

const WRITER = fileURLToPath(new URL('./audit-writer.ts', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-audit-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const entries = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => auditEntryOf(from + i));
const all = (log: AuditLog, more: Partial<AuditQuestion> = {}): Promise<AuditAnswer> =>
  log.read({ endpoint: null, run: null, since: null, limit: 100_000, ...more });
const newDir = (): Promise<string> => mkdtemp(join(folder, 'data-'));

/** The one file of a log with one stream. */
async function fileOf(dataDir: string): Promise<string> {
  const names = (await readdir(join(dataDir, 'audit'))).filter((name) => name.endsWith('.jsonl'));
  expect(names).toHaveLength(1);
  return join(dataDir, 'audit', names[0] ?? '');
}

const linesOf = async (file: string): Promise<string[]> =>
  (await readFile(file, 'utf8')).split('\n').filter(Boolean);

describe.each([
  ['files', async () => new AuditLog(new AuditFiles(join(await newDir(), 'audit')))],
  ['documents', async () => new AuditLog(new AuditDocuments(new FileDocuments(await newDir())))],
])('an audit log of %s', (_kind, make) => {
  it('keeps entries in order, each chained to the one before', async () => {
    const log = await make();
    expect(await log.append({ stream: 'run 1', from: 0, entries: entries(0, 3) })).toEqual({ next: 3 });
    expect(await log.append({ stream: 'run 1', from: 3, entries: entries(3, 2) })).toEqual({ next: 5 });
    const { records, broken } = await all(log);
    expect(broken).toEqual([]);
    expect(records.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4]);
    for (const [i, record] of records.entries()) {
      expect(record).toMatchObject({ ...auditEntryOf(i), stream: 'run 1' });
      expect(record.previous).toBe(records[i - 1]?.digest ?? '');
      expect(record.digest).toBe(recordDigest(record));
    }
  });

  it('writes nothing twice, also where only a part of it was new', async () => {
    const log = await make();
    const call = { stream: 's', from: 0, entries: entries(0, 3) };
    await log.append(call);
    const before = await all(log);
    expect(await log.append(call)).toEqual({ next: 3 });
    expect(await log.append({ stream: 's', from: 1, entries: entries(1, 1) })).toEqual({ next: 3 });
    expect(await all(log)).toEqual(before);
    expect(await log.append({ stream: 's', from: 2, entries: entries(2, 3) })).toEqual({ next: 5 });
    expect((await all(log)).records).toHaveLength(5);
  });

  it('refuses a gap, and another entry at a place that is taken, and says where it stands', async () => {
    const log = await make();
    await log.append({ stream: 's', from: 0, entries: entries(0, 2) });
    await expect(log.append({ stream: 's', from: 4, entries: entries(4, 1) })).rejects.toMatchObject({
      code: 'InputInvalid',
      retryable: false,
      next: 2,
      message: expect.stringContaining('entries 2 to 3 are missing'),
    });
    const other = [auditEntryOf(1, { by: 'mallory' })];
    await expect(log.append({ stream: 's', from: 1, entries: other })).rejects.toMatchObject({
      next: 2,
      message: expect.stringContaining('another entry of number 1'),
    });
    expect((await all(log)).records).toHaveLength(2);
  });

  it('is written by many at once without a mistake', async () => {
    const log = await make();
    // As attempts of an activity that was thought to be lost.
    await Promise.all(
      Array.from({ length: 8 }, () => log.append({ stream: 's', from: 0, entries: entries(0, 20) })),
    );
    await Promise.all(
      ['a', 'b', 'c'].map((stream) => log.append({ stream, from: 0, entries: entries(0, 5) })),
    );
    const { records, broken } = await all(log);
    expect({ broken, count: records.length }).toEqual({ broken: [], count: 35 });
  });

  it('is read by endpoint, run, time and number', async () => {
    const log = await make();
    const of = (endpoint: string | null, from: number) => [auditEntryOf(from, { endpoint })];
    await log.append({ stream: 'endpoint/churn', from: 0, entries: of('churn', 10) });
    await log.append({ stream: 'run-1', from: 0, entries: [...of('churn', 1), ...of(null, 2)] });
    await log.append({ stream: 'run-1/rollout/abc', from: 0, entries: of('churn', 5) });
    await log.append({ stream: 'run-12', from: 0, entries: of('other', 3) });
    const read = async (more: Partial<AuditQuestion>): Promise<string[]> =>
      (await all(log, more)).records.map(({ stream, by }) => `${stream}: ${by}`);
    expect(await read({ endpoint: 'churn' })).toEqual([
      'run-1: person 1',
      'run-1/rollout/abc: person 5',
      'endpoint/churn: person 10',
    ]);
    expect(await read({ run: 'run-1' })).toEqual([
      'run-1: person 1',
      'run-1: person 2',
      'run-1/rollout/abc: person 5',
    ]);
    expect(await read({ since: auditEntryOf(4).at })).toEqual([
      'run-1/rollout/abc: person 5',
      'endpoint/churn: person 10',
    ]);
    expect(await read({ limit: 1 })).toEqual(['endpoint/churn: person 10']);
    expect(await read({ endpoint: 'nobody' })).toEqual([]);
    await expect(read({ since: 'yesterday' })).rejects.toMatchObject({ code: 'InputInvalid' });
  });
});

describe('an audit log that somebody else wrote in', () => {
  /** A log of five entries, and its file after a change of its lines. */
  async function changed(change: (lines: string[]) => string[]): Promise<AuditLog> {
    const dataDir = await newDir();
    const log = AuditLog.in(dataDir);
    await log.append({ stream: 's', from: 0, entries: entries(0, 5) });
    const file = await fileOf(dataDir);
    await writeFile(file, `${change(await linesOf(file)).join('\n')}\n`);
    return log;
  }

  it.each([
    [
      'an entry was changed',
      (lines: string[]) => lines.map((l, i) => (i === 2 ? l.replace('person 2', 'person 9') : l)),
      2,
      'changed',
    ],
    [
      'an entry was taken out',
      (lines: string[]) => lines.filter((_, i) => i !== 2),
      3,
      'entries 2 to 2 are missing',
    ],
    ['the first one was taken out', (lines: string[]) => lines.slice(1), 1, 'entries 0 to 0 are missing'],
    [
      'an entry stands twice',
      (lines: string[]) => [...lines.slice(0, 2), ...lines.slice(1)],
      1,
      'where entry 2 belongs',
    ],
    ['a line is no record', (lines: string[]) => lines.map((l, i) => (i === 1 ? '{}' : l)), 1, 'no record'],
  ])('tells that %s', async (_what, change, sequence, problem) => {
    const { broken } = await all(await changed(change));
    expect(broken[0]).toMatchObject({ sequence, problem: expect.stringContaining(problem) });
  });

  it('tells of an entry whose digest was made anew', async () => {
    const log = await changed((lines) =>
      lines.map((line, i) => {
        if (i !== 2) return line;
        const record = { ...JSON.parse(line), by: 'mallory' };
        return JSON.stringify({ ...record, digest: recordDigest(record) });
      }),
    );
    expect((await all(log)).broken).toMatchObject([
      { sequence: 3, problem: expect.stringContaining('not the one that it was written after') },
    ]);
  });

  it('takes no entry after a line that is no record', async () => {
    const log = await changed((lines) => [...lines, 'nonsense']);
    await expect(log.append({ stream: 's', from: 5, entries: entries(5, 1) })).rejects.toMatchObject({
      code: 'ArtifactCorrupt',
    });
  });
});

describe('the check of a chain in docs/audit.md', () => {
  it('finds a whole log whole, and a changed one not', async () => {
    const docs = await readFile(fileURLToPath(new URL('../../docs/audit.md', import.meta.url)), 'utf8');
    const program = /```python\n([\s\S]*?)```/.exec(docs)?.[1] ?? '';
    const dataDir = await newDir();
    const odd = 'é \u2028 \u0001 \u007f \t "quoted" \\ \u{1f600} </script>';
    await AuditLog.in(dataDir).append({
      stream: 's',
      from: 0,
      entries: [...entries(0, 3), auditEntryOf(3, { reason: odd, endpoint: null })],
    });
    const file = await fileOf(dataDir);
    const check = () => promisify(execFile)('python3', ['-c', program, file]);
    await check();
    await writeFile(file, (await readFile(file, 'utf8')).replace('person 1', 'person 7'));
    await expect(check()).rejects.toMatchObject({ stderr: expect.stringContaining('AssertionError: 1') });
  });
});

describe('a writer that is killed', () => {
  it('leaves a torn line at most, which the next one cuts off', async () => {
    const dataDir = await newDir();
    const log = AuditLog.in(dataDir);
    await log.append({ stream: 's', from: 0, entries: entries(0, 3) });
    const file = await fileOf(dataDir);
    const whole = await readFile(file, 'utf8');
    for (const torn of ['{"at":"2026', '\0'.repeat(5_000)]) {
      await appendFile(file, torn);
      expect(await all(log)).toMatchObject({ broken: [], records: { length: 3 } });
      expect(await log.append({ stream: 's', from: 0, entries: entries(0, 3) })).toEqual({ next: 3 });
    }
    expect(await log.append({ stream: 's', from: 3, entries: entries(3, 1) })).toEqual({ next: 4 });
    expect((await readFile(file, 'utf8')).startsWith(whole)).toBe(true);
    expect(await all(log)).toMatchObject({ broken: [], records: { length: 4 } });
  });

  it.each([30, 120, 300])(
    'with -9 after %i ms loses nothing that it was told is written',
    async (delayMs) => {
      const dataDir = await newDir();
      const child = spawn(process.execPath, ['--import', 'tsx', WRITER, dataDir, 's'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let told = 0;
      const lines = createInterface(child.stdout);
      const ready = once(lines, 'line');
      lines.on('line', (line) => {
        told = Number(line) || told;
      });
      await ready;
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      child.kill('SIGKILL');
      await Promise.all([once(child, 'exit'), once(lines, 'close')]);
      const log = AuditLog.in(dataDir);
      const { records, broken } = await all(log);
      expect(broken).toEqual([]);
      expect(records.length).toBeGreaterThanOrEqual(told);
      expect(records.map(({ sequence }) => sequence)).toEqual(records.map((_, i) => i));
      // The activity is tried again, by another process: its lock is free, and the log goes on.
      const next = records.length + 3;
      expect(await log.append({ stream: 's', from: 0, entries: entries(0, next) })).toEqual({ next });
      expect(await all(log)).toMatchObject({ broken: [], records: { length: next } });
    },
  );

  it('goes on in a long log by its end alone', async () => {
    const dataDir = await newDir();
    const log = AuditLog.in(dataDir);
    for (let from = 0; from < 1_500; from += 100)
      await log.append({ stream: 's', from, entries: entries(from, 100) });
    expect((await stat(await fileOf(dataDir))).size).toBeGreaterThan(600_000);
    expect(await log.append({ stream: 's', from: 1_499, entries: entries(1_499, 3) })).toEqual({
      next: 1_502,
    });
    expect(await log.append({ stream: 's', from: 0, entries: entries(0, 100) })).toEqual({ next: 1_502 });
    await expect(
      log.append({ stream: 's', from: 3, entries: [auditEntryOf(3, { by: 'x' })] }),
    ).rejects.toMatchObject({ next: 1_502 });
    expect(await all(log)).toMatchObject({ broken: [], records: { length: 1_502 } });
  });
});

describe('an audit log in a bucket', () => {
  it('is one log for all machines', { timeout: 900_000 }, async () => {
    const s3 = await TestBucket.start('audited');
    try {
      const artifactStore = s3.location('store');
      const machines = await Promise.all([1, 2].map(() => storeOnAMachine({ artifactStore })));
      const logs = await Promise.all(
        machines.map(({ store, dataDir }) => openAuditLog({ dataDir, artifactStore }, async () => store)),
      );
      await Promise.all(logs.map((log) => log.append({ stream: 's', from: 0, entries: entries(0, 4) })));
      await logs[0]?.append({ stream: 's', from: 4, entries: entries(4, 2) });
      for (const log of logs) expect(await all(log)).toMatchObject({ broken: [], records: { length: 6 } });
      for (const machine of machines) await machine.close();
    } finally {
      await s3.close();
    }
  });
});
