// Peak memory of taking a large file in: `npx tsx bench/ingest-memory.ts [GIGABYTES]`, default 5. Each step runs in a
// process of its own, whose VmHWM is read at its end. What was made is deleted; twelve times the size must be free.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { tableRef } from '../contracts/refs.ts';
import { dataSpec } from '../contracts/spec/data.ts';
import { fileSource } from '../contracts/spec/sources.ts';
import { joinSources } from '../lib/data/join.ts';
import { Database } from '../lib/duckdb/database.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { Secrets } from '../lib/secrets.ts';
import { acquireSource } from '../lib/sources/acquire.ts';
import { HostRules } from '../lib/sources/hosts.ts';
import { snapshotSource } from '../lib/sources/snapshot.ts';
import { ArtifactStore } from '../lib/store/artifact-store.ts';

/** 12 columns, 142 bytes a row in CSV. */
const ROW = `i AS id, (hash(i) % 1000)::INTEGER AS k, round((hash(i + 7) % 1000000) / 997.0, 3) AS v1,
  (hash(i + 1) % 1000000007) / 1e9 AS v2, hash(i + 2) % 100000 AS v3, md5(i::VARCHAR) AS s1,
  'category ' || (hash(i + 3) % 50) AS s2, DATE '2020-01-01' + (hash(i + 4) % 1000)::INTEGER AS d,
  hash(i + 5) % 2 = 0 AS b, TIMESTAMP '2020-01-01' + INTERVAL (i % 100000000) SECOND AS ts,
  (hash(i + 6) % 1000000007) / 1e9 AS v4, (hash(i + 8) % 1000000007) / 1e9 AS v5`;
const CSV_BYTES_PER_ROW = 140;
const PARQUET_BYTES_PER_ROW = 96;

const result = z.object({ table: tableRef, seconds: z.number(), peakMiB: z.number() });
type Result = z.infer<typeof result>;

const task = z.discriminatedUnion('step', [
  z.object({ step: z.literal('snapshot'), folder: z.string(), file: z.string() }),
  z.object({ step: z.literal('join'), folder: z.string(), table: tableRef, sql: z.string() }),
]);
type Task = z.infer<typeof task>;

const peakMiB = async (): Promise<number> =>
  Math.round(
    Number(/VmHWM:\s+(\d+)/.exec(await readFile('/proc/self/status', 'utf8'))?.[1] ?? Number.NaN) / 1024,
  );

/** One step, as a worker does it with its default settings. */
async function work(given: Task): Promise<void> {
  const store = await ArtifactStore.create(join(given.folder, 'store'));
  const scratchDir = await mkdtemp(join(given.folder, 'scratch-'));
  const started = performance.now();
  const table =
    given.step === 'snapshot'
      ? await snapshot(store, scratchDir, given.folder, given.file)
      : (
          await joinSources(
            dataSpec.parse({ sources: { big: 'big.parquet' }, sql: given.sql }),
            [{ name: 'big', snapshot: given.table }],
            { store, scratchDir },
          )
        ).table;
  const seconds = (performance.now() - started) / 1_000;
  await rm(scratchDir, { recursive: true });
  process.stdout.write(JSON.stringify({ table, seconds, peakMiB: await peakMiB() } satisfies Result));
}

async function snapshot(store: ArtifactStore, scratchDir: string, folder: string, file: string) {
  const database = await Database.create({ tempDir: join(scratchDir, 'spill') });
  try {
    const source = fileSource.parse({ path: file });
    const options = { roots: [folder], hosts: new HostRules(), secrets: new Secrets({}), scratchDir };
    const acquired = await acquireSource(database, 'big', source, options);
    return await snapshotSource(database, 'big', source, acquired, store, join(scratchDir, 'big.parquet'));
  } finally {
    database.close();
  }
}

async function inOwnProcess(given: Task): Promise<Result> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(import.meta.url), JSON.stringify(given)],
    { maxBuffer: 10_000_000 },
  );
  return result.parse(JSON.parse(stdout));
}

async function generate(path: string, rows: number, format: string): Promise<number> {
  const database = await Database.create({ tempDir: `${path}.spill` });
  try {
    await database.run(
      `COPY (SELECT ${ROW} FROM range(${rows}) AS r(i)) TO ${quoteLiteral(path)} (${format})`,
    );
  } finally {
    database.close();
  }
  return (await stat(path)).size;
}

async function main(gigabytes: number): Promise<void> {
  const base = process.env.PERENNIAL_BENCH_DIR ?? join(process.cwd(), '.perennial', 'bench');
  await mkdir(base, { recursive: true });
  const { bavail, bsize } = await statfs(base);
  if (bavail * bsize < gigabytes * 12e9)
    throw new Error(`${base}: ${gigabytes * 12} GB must be free; give a smaller size`);
  const folder = await mkdtemp(join(base, 'ingest-memory-'));
  const report = (what: string, bytes: number, { table, seconds, peakMiB }: Result): void =>
    console.log(
      `${what.padEnd(34)} ${(bytes / 1e9).toFixed(2)} GB  ${(table.rows / 1e6).toFixed(1)}M rows  ${seconds.toFixed(0).padStart(4)} s  peak ${peakMiB} MiB`,
    );
  try {
    const file = join(folder, 'big.csv');
    const bytes = await generate(file, Math.ceil((gigabytes * 1e9) / CSV_BYTES_PER_ROW), 'HEADER');
    const csv = await inOwnProcess({ step: 'snapshot', folder, file });
    report('snapshot of CSV', bytes, csv);
    await rm(file);
    for (const [what, sql] of [
      ['a column derived by SQL', 'SELECT *, v1 * v2 AS product FROM big'],
      [
        'join with a group, sorted by all',
        'SELECT big.*, g.n, g.mean FROM big JOIN (SELECT v3, count(*) AS n, avg(v1) AS mean FROM big GROUP BY v3) AS g USING (v3)',
      ],
    ] as const)
      report(
        what,
        csv.table.artifact.bytes,
        await inOwnProcess({ step: 'join', folder, table: csv.table, sql }),
      );
    await rm(join(folder, 'store'), { recursive: true });
    const parquet = join(folder, 'big.parquet');
    const rows = Math.ceil((gigabytes * 1e9) / PARQUET_BYTES_PER_ROW);
    const size = await generate(parquet, rows, 'FORMAT parquet, COMPRESSION uncompressed');
    report('snapshot of Parquet', size, await inOwnProcess({ step: 'snapshot', folder, file: parquet }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const [argument = '5'] = process.argv.slice(2);
if (argument.startsWith('{')) await work(task.parse(JSON.parse(argument)));
else await main(Number(argument));
