import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PersonalFinding, PersonalKind } from '../contracts/privacy.ts';
import { Database } from '../lib/duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../lib/duckdb/sql.ts';
import { detectPersonal } from '../lib/privacy/detect.ts';
import { table } from './figures.ts';
import { decoyColumns, idColumns, type KnownColumn, LOCALES, personalColumns } from './privacy-corpus.ts';

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

/** All columns of the corpus, with telling names and without. */
export async function judgeCorpus(database: Database, rows: number, seed: number): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const named of [true, false]) {
    for (const locale of LOCALES)
      judged.push(...(await judgeColumns(database, personalColumns(locale, seed), rows, named)));
    judged.push(...(await judgeColumns(database, idColumns(seed), rows, named)));
    judged.push(...(await judgeColumns(database, decoyColumns(seed), rows, named)));
  }
  return judged;
}

const hits = (column: Judged, kind: PersonalKind): boolean =>
  column.findings.some((finding) => finding.kind === kind);
const ratio = (part: number, of: number): string =>
  of === 0 ? '–' : `${part}/${of} (${Math.round((100 * part) / of)} %)`;

/** Recall by what the columns hold, precision by kind, and what was taken for something that it is not. */
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
  const precision = kinds.map((kind) => {
    const found = judged.filter((column) => hits(column, kind));
    const right = found.filter((column) => column.kind === kind);
    const wrong = [
      ...new Set(
        found
          .filter((column) => column.kind !== kind)
          .map((column) => `${column.what} ${column.locale}${column.named ? '' : '*'}`.trim()),
      ),
    ];
    return [kind, ratio(right.length, found.length), wrong.join(', ')];
  });
  return [
    table(
      ['columns of', 'found, telling name', 'found, name c1', 'verified', 'missed (* without telling name)'],
      recall,
    ),
    table(['kind', 'precision', 'taken for it (* without telling name)'], precision),
  ].join('\n\n');
}

/** Milliseconds to look at 5 million rows of 12 columns in a Parquet file, three of them texts with hidden e-mails. */
async function measureSpeed(folder: string): Promise<number[]> {
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
    const times: number[] = [];
    for (let run = 0; run < 3; run++) {
      const begin = performance.now();
      const findings = await detectPersonal(database, relation, columns);
      times.push(performance.now() - begin);
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
      say(`${privacyTables(await judgeCorpus(database, 1_000, 2_024))}\n`);
    } finally {
      database.close();
    }
    const times = await measureSpeed(folder);
    say(
      `5 million rows × 12 columns from Parquet, each of three runs: ${times.map((time) => `${(time / 1_000).toFixed(2)} s`).join(', ')}\n`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
