/**
 * Rows per second of batch scoring, and the most memory of its processes, beside onnxruntime alone in one thread with
 * the same model and rows that are in memory already. The model is that of bench/serving.ts. Variables: `ROWS`, `LANES`.
 *
 * npx tsx bench/batch-scoring.ts
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { DEFAULT_CHUNK_ROWS } from '../contracts/batch-scoring.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { ModelSignature } from '../contracts/serving.ts';
import { nextChunks } from '../domain/batch-chunks.ts';
import { seededRandom } from '../domain/random.ts';
import { Database } from '../lib/duckdb/database.ts';
import { quoteIdent } from '../lib/duckdb/sql.ts';
import { answersQuery, writeRows } from '../lib/scoring/destination/written-table.ts';
import { plannedColumns, type ScoringPlan } from '../lib/scoring/plan.ts';
import { scoreChunk } from '../lib/scoring/score-chunk.ts';
import { ArtifactStore } from '../lib/store/artifact-store.ts';
import { inLanes } from '../workflows/lanes.ts';
import { machine, table } from './figures.ts';
import { servingModel } from './serving-model.ts';

const { composed: MODEL, served } = await servingModel(join(import.meta.dirname, 'peers', '.peers'));
const ROWS = Number(process.env.ROWS ?? 1_000_000);
const LANES = Number(process.env.LANES ?? Math.min(2, availableParallelism()));
const BARE_ROWS = 122_880;
const BARE_BATCHES = [100, 1_000, 4_096, 16_384];
const MIB = 2 ** 20;

/** Rows per second, and per second of processor time: the latter says something on a machine with other work, too. */
interface Speed {
  wall: number;
  processor: number;
}

/** The speed of the engine alone, by the size of a batch. */
async function bare(signature: ModelSignature): Promise<Map<number, Speed>> {
  const session = await InferenceSession.create(MODEL, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const random = seededRandom(1);
  const columns = signature.inputs.map(({ name }) => ({
    name,
    values: Float32Array.from({ length: BARE_ROWS }, () => 2 * random() - 1),
  }));
  const speeds = new Map<number, Speed>();
  for (const size of BARE_BATCHES) {
    const pass = async (rows: number): Promise<void> => {
      for (let from = 0; from < rows; from += size) {
        const count = Math.min(size, rows - from);
        const feeds = columns.map(
          ({ name, values }) =>
            [name, new Tensor('float32', values.subarray(from, from + count), [count])] as const,
        );
        await session.run(Object.fromEntries(feeds));
      }
    };
    await pass(BARE_ROWS / 4);
    const [started, before] = [performance.now(), ownSeconds()];
    await pass(BARE_ROWS);
    speeds.set(size, {
      wall: (BARE_ROWS / (performance.now() - started)) * 1_000,
      processor: BARE_ROWS / (ownSeconds() - before),
    });
  }
  await session.release();
  return speeds;
}

const ownSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** Processor time of the processes that this one started, in seconds: `utime` and `stime` of proc(5), in ticks. */
const childSeconds = (): number =>
  childIds().reduce((sum, id) => {
    const stat = readFileSync(`/proc/${id}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) / 100;
  }, 0);

function childIds(): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      return Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) === process.pid;
    } catch {
      return false;
    }
  });
}

/** Most memory of this process and of those that it started, in MiB. */
function peaks(): { own: number; children: number[] } {
  const of = (id: string): number => peakOf(readFileSync(`/proc/${id}/status`, 'utf8'));
  return { own: of('self'), children: childIds().map(of) };
}

const peakOf = (status: string): number =>
  Math.round((Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1]) * 1_024) / MIB);

async function batch(signature: ModelSignature, rows: number, folder: string) {
  const store = await ArtifactStore.create(join(folder, 'artifacts'));
  const path = join(folder, 'rows.parquet');
  const database = await Database.create({ tempDir: join(folder, 'spill') });
  try {
    const values = signature.inputs.map(({ name }) => `(2 * random() - 1)::FLOAT AS ${quoteIdent(name)}`);
    await database.run('SELECT setseed(0.5)');
    await database.copyToParquet(`SELECT i AS id, ${values.join(', ')} FROM range(${rows}) r(i)`, path);
    const columns = await database.columns(`read_parquet('${path}')`);
    const plan: ScoringPlan = {
      schemaVersion: 1,
      table: await store.putFile(path, MEDIA_TYPES.parquet),
      slices: [],
      columns,
      model: { version: '1', onnx: await store.putFile(MODEL, MEDIA_TYPES.onnx), signature },
      ...plannedColumns(columns, signature, { passThrough: ['id'], features: false }),
      features: false,
      invalid: 'fail',
      cache: 'off',
      encrypt: false,
      subject: [],
      modelName: 'bench',
    };
    const chunks = nextChunks({ rows, chunkRows: DEFAULT_CHUNK_ROWS, next: 0, most: rows });
    const score = async (range: { from: number; before: number }, at: number) => {
      const scratchDir = join(folder, `chunk-${at}`);
      await mkdir(scratchDir);
      const { artifact } = await scoreChunk(plan, range, {
        store: store.within(scratchDir),
        scratchDir,
        signal: new AbortController().signal,
        onRows: () => undefined,
      });
      await rm(scratchDir, { recursive: true });
      return store.path(artifact);
    };
    // The processes are there, with the model, as on a worker that is at work.
    await Promise.all(
      Array.from({ length: LANES }, (_, lane) => score({ from: lane, before: lane + 1 }, -1 - lane)),
    );
    const [started, before] = [performance.now(), ownSeconds() + childSeconds()];
    const files = await inLanes([...chunks.entries()], LANES, ([at, range]) => score(range, at));
    const [scored, between] = [performance.now(), ownSeconds() + childSeconds()];
    const written = await writeRows(
      database,
      answersQuery(files, plan, { batchId: 'bench', at: '2026-01-01T00:00:00.000Z' }),
      join(folder, 'out.parquet'),
      'parquet',
    );
    if (written !== rows) throw new Error(`of ${rows} rows ${written} were written`);
    const [ended, after] = [performance.now(), ownSeconds() + childSeconds()];
    const speed = (until: number, used: number): Speed => ({
      wall: (rows / (until - started)) * 1_000,
      processor: rows / (used - before),
    });
    return { scoring: speed(scored, between), whole: speed(ended, after), ...peaks() };
  } finally {
    database.close();
  }
}

const { signature } = served;
const alone = await bare(signature);
const best: Speed = {
  wall: Math.max(...[...alone.values()].map(({ wall }) => wall)),
  processor: Math.max(...[...alone.values()].map(({ processor }) => processor)),
};
const rounded = (value: number): string => Math.round(value).toLocaleString('en-US');
const line = (what: string, { wall, processor }: Speed): string[] => [
  what,
  rounded(wall),
  (wall / best.wall).toFixed(2),
  rounded(processor),
  (processor / best.processor).toFixed(2),
];
const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-batch-'));
try {
  const measured = await batch(signature, ROWS, folder);
  console.log(
    `${machine()}, ${signature.inputs.length} inputs, ${rounded(ROWS)} rows, ${LANES} chunks at a time\n`,
  );
  console.log(
    table(
      ['', 'rows/s', 'of the bare engine', 'rows per processor second', 'of the bare engine'],
      [
        ...[...alone].map(([size, speed]) =>
          line(`onnxruntime alone, one thread, ${rounded(size)} rows a call`, speed),
        ),
        line('batch scoring, chunks alone', measured.scoring),
        line('batch scoring, with the output written', measured.whole),
      ],
    ),
  );
  console.log(
    `\nmost memory: this process ${measured.own} MiB, scoring processes ${measured.children.join(', ')} MiB`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit();
