import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PersonalFinding, PersonalKind } from '../contracts/privacy.ts';
import { Database } from '../lib/duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../lib/duckdb/sql.ts';
import { detectPersonal } from '../lib/privacy/detect.ts';
import { table } from './figures.ts';
import { decoyColumns, idColumns, type KnownColumn, LOCALES, personalColumns } from './privacy-corpus.ts';
import { hardNegatives, heldOutColumns } from './privacy-held-out.ts';
import { textColumns } from './privacy-texts.ts';

/** From this confidence on a finding counts: the default of `privacy.detection.minConfidence`. */
const MIN_CONFIDENCE = 0.5;

/** A column with what was found in it. */
export interface Judged extends KnownColumn {
  /** Whether the column had its telling name, or `c0`, `c1`. */
  named: boolean;
  findings: PersonalFinding[];
}

/** Makes tables of the columns, one row after the other, and looks for personal data in them. */
export async function judgeColumns(
  database: Database,
  columns: readonly KnownColumn[],
  rows: number,
  named: boolean,
): Promise<Judged[]> {
  const judged: Judged[] = [];
  // Each column in a table of its own: two columns of one name are no matter.
  for (const [index, column] of columns.entries()) {
    const name = named ? column.name : `c${index}`;
    const values = Array.from({ length: rows }, (_, row) => column.value(row));
    const literal = (value: string | number): string =>
      typeof value === 'number' ? String(value) : quoteLiteral(value);
    await database.run(
      `CREATE OR REPLACE TABLE known AS SELECT unnest([${values.map(literal).join(', ')}]) AS ${quoteIdent(name)}`,
    );
    const found = await detectPersonal(database, 'known', await database.columns('known'));
    judged.push({
      ...column,
      named,
      findings: found.filter((finding) => finding.confidence >= MIN_CONFIDENCE),
    });
  }
  return judged;
}

/** The halves of the corpus: one that rules were written on, one that they never saw. */
export type Half = 'development' | 'held-out';

const columnsOf = (half: Half, seed: number): KnownColumn[] =>
  half === 'development'
    ? [
        ...LOCALES.flatMap((locale) => personalColumns(locale, seed)),
        ...idColumns(seed),
        ...textColumns(half, seed),
        ...decoyColumns(seed),
      ]
    : [...heldOutColumns(seed), ...textColumns(half, seed), ...hardNegatives(seed)];

/** All columns of one half, with telling names and without. */
export async function judgeCorpus(
  database: Database,
  half: Half,
  rows: number,
  seed: number,
): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const named of [true, false])
    judged.push(...(await judgeColumns(database, columnsOf(half, seed), rows, named)));
  return judged;
}

const hits = (column: Judged, kind: PersonalKind): boolean =>
  column.findings.some((finding) => finding.kind === kind);
const ratio = (part: number, of: number): string =>
  of === 0 ? '–' : `${part}/${of} (${Math.round((100 * part) / of)} %)`;

/** Recall by what the columns hold, recall and precision by kind, and what was taken for something that it is not. */
export function privacyTables(judged: readonly Judged[]): string {
  const recall = [...new Set(judged.flatMap(({ kind, what }) => (kind ? [what] : [])))].map((what) => {
    const of = (named: boolean): string => {
      const columns = judged.filter((column) => column.what === what && column.named === named);
      return ratio(
        columns.filter((column) => column.kind && hits(column, column.kind)).length,
        columns.length,
      );
    };
    const all = judged.filter((column) => column.what === what);
    const verified = all.filter((column) =>
      column.findings.some((f) => f.kind === column.kind && f.verified),
    ).length;
    const missed = [
      ...new Set(
        all
          .filter((column) => column.kind && !hits(column, column.kind))
          .map((column) => `${column.locale}${column.named ? '' : '*'}`),
      ),
    ];
    return [what, of(true), of(false), ratio(verified, all.length), missed.join(' ')];
  });
  const kinds = [...new Set(judged.flatMap(({ kind }) => (kind ? [kind] : [])))];
  const byKind = kinds.map((kind) => {
    const of = judged.filter((column) => column.kind === kind);
    const found = judged.filter((column) => hits(column, kind));
    const stopping = found.filter((column) => column.findings.some((f) => f.kind === kind && f.verified));
    const right = (list: readonly Judged[]): number => list.filter((column) => column.kind === kind).length;
    const wrong = [
      ...new Set(
        found
          .filter((column) => column.kind !== kind)
          .map((column) => {
            const stops = column.findings.some((f) => f.kind === kind && f.verified);
            return `${column.what} ${column.locale}${column.named ? '' : '*'}${stops ? ' (stops)' : ''}`.trim();
          }),
      ),
    ];
    return [
      kind,
      ratio(right(found), of.length),
      ratio(right(found), found.length),
      ratio(right(stopping), stopping.length),
      wrong.join(', '),
    ];
  });
  const innocent = judged.filter(({ kind }) => kind === undefined);
  const stopped = innocent.filter(({ findings }) => findings.some(({ verified }) => verified));
  const warned = innocent.filter(({ findings }) => findings.length > 0);
  return [
    table(
      ['columns of', 'found, telling name', 'found, name c1', 'verified', 'missed (* without telling name)'],
      recall,
    ),
    table(
      ['kind', 'recall', 'precision', 'precision of verified', 'taken for it (* without telling name)'],
      byKind,
    ),
    `${innocent.length} columns hold nothing personal: ${stopped.length} would stop a run, ${warned.length} have a finding.`,
  ].join('\n\n');
}

/** Wall and CPU time, in milliseconds, to look at 5 million rows of 12 columns in a Parquet file, three of them texts with hidden e-mails. */
async function measureSpeed(folder: string): Promise<{ wall: number; cpu: number }[]> {
  const database = await Database.create({ tempDir: join(folder, 'spill') });
  try {
    const path = join(folder, 'wide.parquet');
    await database.copyToParquet(
      `SELECT i AS id, 100000000 + i AS order_id, hash(i) % 1000000 / 100.0 AS price, (hash(i + 1) % 90)::INTEGER AS age,
         'user' || hash(i) AS login, ['red', 'green', 'blue'][1 + i % 3] AS colour, md5(i::VARCHAR) AS digest,
         TIMESTAMP '2024-01-01' + to_seconds(i) AS created, i % 7 = 0 AS flag,
         'please call back about order ' || hash(i) % 100000 || ' tomorrow' || CASE WHEN i = 4000000 THEN ' or write to a.b@example.com' ELSE '' END AS comment,
         'SKU-' || hash(i + 2) % 5000 AS sku, (hash(i + 3) % 10000)::DOUBLE / 7 AS score
       FROM range(5000000) r(i)`,
      path,
    );
    const relation = `read_parquet(${quoteLiteral(path)})`;
    const columns = await database.columns(relation);
    const times: { wall: number; cpu: number }[] = [];
    for (let run = 0; run < 3; run++) {
      const begin = performance.now();
      const before = process.cpuUsage();
      const findings = await detectPersonal(database, relation, columns);
      const { user, system } = process.cpuUsage(before);
      times.push({ wall: performance.now() - begin, cpu: (user + system) / 1_000 });
      if (findings.length !== 1 || findings[0]?.column !== 'comment' || !findings[0].verified)
        throw new Error(`expected the one hidden address, found ${JSON.stringify(findings)}`);
    }
    return times;
  } finally {
    database.close();
  }
}

/** Measures the detector on generated people and prints tables. */
export async function measurePrivacy(say: (text: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-privacy-'));
  try {
    const database = await Database.create({ tempDir: join(folder, 'spill') });
    try {
      for (const [half, seed] of [
        ['development', 2_024],
        ['held-out', 77],
      ] as const)
        say(
          `### Personal data, ${half} half\n\n${privacyTables(await judgeCorpus(database, half, 1_000, seed))}\n`,
        );
    } finally {
      database.close();
    }
    const times = await measureSpeed(folder);
    say(
      `5 million rows × 12 columns from Parquet, each of three runs: ${times.map(({ wall, cpu }) => `${(wall / 1_000).toFixed(2)} s (${(cpu / 1_000).toFixed(2)} s of CPU)`).join(', ')}\n`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
