/** The program of a custom check (see `run-check.ts`): takes one job over IPC, answers, leaves. */
import { pathToFileURL } from 'node:url';
import type { DataFrame } from 'danfojs-node';
import { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { CheckContext } from './check-frame.ts';
import { type CheckAnswer, type CheckJob, checkJob, checkVerdict } from './check-job.ts';

const MAX_MESSAGE = 300;

/** A problem that is told as it is: it holds no values. */
class Problem extends Error {}

type Danfo = { DataFrame: new (columns: Record<string, unknown[]>) => DataFrame };

async function danfo(): Promise<Danfo> {
  const module = await import('danfojs-node').catch(() => {
    throw new Problem(
      'needs the package danfojs-node, which is not installed beside the worker; see docs/custom-checks.md',
    );
  });
  return module;
}

async function run(job: CheckJob): Promise<CheckAnswer> {
  const frames = await danfo();
  // The bundle takes danfojs from here: it has no folder of packages beside it.
  Reflect.set(globalThis, Symbol.for('perennial.danfojs'), frames);
  const module: unknown = await import(pathToFileURL(job.modulePath).href);
  const check: unknown =
    typeof module === 'object' && module !== null ? Reflect.get(module, job.export) : undefined;
  if (typeof check !== 'function') throw new Problem(`has no exported function ${job.export}`);
  const database = await Database.create({ tempDir: process.cwd(), threads: 1, onlyPaths: [job.tablePath] });
  const sum = { passed: true, message: null as string | null, violations: null as number | null, rows: 0 };
  try {
    for (const { sql, context } of queries(job)) {
      const columns = await columnsOf(database, sql, job.columns);
      const rows = columns[job.columns[0] ?? '']?.length ?? 0;
      const said = checkVerdict.safeParse(await check(new frames.DataFrame(columns), context));
      if (!said.success)
        throw new Problem(
          'answered something else than { passed: true or false, message?: text, violations?: whole number }',
        );
      const { passed, message, violations } = said.data;
      sum.rows += rows;
      if (violations !== undefined) sum.violations = (sum.violations ?? 0) + violations;
      if (message && (sum.message === null || (sum.passed && !passed)))
        sum.message = message.slice(0, MAX_MESSAGE);
      sum.passed &&= passed;
    }
  } finally {
    database.close();
  }
  return { done: true, ...sum };
}

function* queries({ rows, columns, tablePath, tableRows }: CheckJob): Generator<{
  sql: string;
  context: CheckContext;
}> {
  const select = `SELECT ${columns.map(quoteIdent).join(', ')} FROM read_parquet(${quoteLiteral(tablePath)})`;
  if ('sample' in rows) {
    const sample =
      tableRows > rows.sample ? ` USING SAMPLE reservoir(${rows.sample} ROWS) REPEATABLE (42)` : '';
    yield { sql: `${select}${sample}`, context: { tableRows, firstRow: null, chunk: 0 } };
    return;
  }
  for (let chunk = 0; chunk === 0 || chunk * rows.chunks < tableRows; chunk++) {
    const firstRow = chunk * rows.chunks;
    yield {
      sql: `${select} LIMIT ${rows.chunks} OFFSET ${firstRow}`,
      context: { tableRows, firstRow, chunk },
    };
  }
}

/** Columns as danfojs takes them: numbers, booleans, texts, null; moments as ISO 8601. */
async function columnsOf(
  database: Database,
  sql: string,
  names: readonly string[],
): Promise<Record<string, unknown[]>> {
  const reader = await database.connection.runAndReadAll(sql);
  const columns = reader.getColumnsJS();
  return Object.fromEntries(names.map((name, index) => [name, (columns[index] ?? []).map(plain)]));
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' && value !== null ? String(value) : value;
}

/** Where an error was thrown, without its words: they may quote a row. */
function placeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'threw something that is no Error';
  const frame = /\n\s+at (?:.*\()?(?:file:\/\/)?([^()\n]+:\d+:\d+)\)?/.exec(error.stack ?? '');
  const place = frame?.[1]?.split('/').slice(-1)[0];
  return `threw ${/^\w{1,40}$/.test(error.name) ? error.name : 'an error'}${place ? ` at ${place}` : ''}; run it on a sample of your own to read the message`;
}

function answer(message: CheckAnswer): void {
  process.send?.(message, () => process.exit());
}

// Whoever wanted the answer is gone.
process.once('disconnect', () => process.exit());
process.once('message', (message) => {
  Promise.resolve(message)
    .then((job) => run(checkJob.parse(job)))
    .then(answer, (error: unknown) =>
      answer({ done: false, problem: error instanceof Problem ? error.message : placeOf(error) }),
    );
});
