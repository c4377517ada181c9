import { rm } from 'node:fs/promises';
import { version as duckdbVersion } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import { type Expectation, isRowRule } from '../../contracts/spec/expectations.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { RuleExamples, ValidationReport } from '../../contracts/validation-report.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { Check, Finding } from './check.ts';
import { compileRule } from './compile.ts';
import { examplesOf } from './examples.ts';
import { Flags } from './flags.ts';
import { JOINED } from './people-sql.ts';
import { type Removal, removeRows } from './removal.ts';
import { allPassed, resultOf } from './result.ts';
import { scanTable } from './scan.ts';
import { type CheckedTable, openTable, type TableInput } from './table.ts';

/** What {@link runExpectations} checks and with what. */
export interface ValidationOptions {
  /** The joined table. */
  table: TableInput;
  rules: readonly Expectation[];
  /** Parquet files of the sources by name, for `on`, `references` and people's SQL. */
  sources?: Readonly<Record<string, string>>;
  /** Moment that freshness is measured against, ISO 8601: event time, or when the run began. */
  asOf: string;
  /** Target column and task, for class balance and leakage. */
  target?: string;
  task?: Task;
  /** Features that leakage looks at; default all columns but the target. */
  features?: readonly string[];
  /** Columns of the joined table whose values are masked in examples. */
  personal?: readonly string[];
  /** The same of sources by name; default for each `personal`. */
  personalIn?: Readonly<Record<string, readonly string[]>>;
  /** Folder for `kept.parquet` and `quarantine.parquet`. */
  outputDir: string;
  /** Folder for what does not fit into memory. */
  tempDir: string;
  /** Memory of the database; default `4GB`. */
  memoryLimit?: string | undefined;
  /** At least 2; default: all cores. */
  threads?: number;
  /** Aborting interrupts the work. */
  signal?: AbortSignal;
}

/** The outcome of {@link runExpectations}. */
export interface Validation {
  /** `results` are in the order of the rules, without those that are judged at the split. */
  report: ValidationReport;
  /** Parquet without the removed rows; left out where no row was removed: the table goes on as it is. */
  kept?: string;
  /** Parquet with all columns and `reasons`; left out where no row went there. */
  quarantine?: string;
  /** Statements that read rows of a table in order to judge. */
  scans: number;
}

/**
 * Checks all expectations of a table. What conditions and aggregates can tell is found out in one scan of each
 * table; where no rule removes rows and all hold, nothing else is read. Rows are removed only where no rule with
 * severity error failed. People's SQL runs as in {@link joinSources}: in a database that reads these tables, writes
 * the two results and does nothing else.
 *
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SqlInvalid`, `SpecInvalid`; a violated expectation is a
 *   result, not an error (see `validationProblem`)
 * @example
 * const { report, kept } = await runExpectations({
 *   table: { path }, rules: spec.expectations, asOf: startedAt, outputDir: scratch, tempDir: scratch,
 * });
 */
export async function runExpectations(options: ValidationOptions): Promise<Validation> {
  const { table, sources = {}, outputDir, tempDir } = options;
  const paths = { kept: `${outputDir}/kept.parquet`, quarantine: `${outputDir}/quarantine.parquet` };
  // The engine would write beside a file that is there already, which the locked database refuses.
  for (const path of Object.values(paths)) await rm(path, { force: true });
  const database = await Database.create({
    tempDir,
    memoryLimit: options.memoryLimit,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    onlyPaths: [
      ...('path' in table ? [table.path] : table.files),
      ...Object.values(sources),
      ...Object.values(paths),
      tempDir,
    ],
    signal: options.signal,
  });
  try {
    const opened = new Map<string, CheckedTable>();
    for (const [name, path] of Object.entries(sources)) {
      await database.view(name, `read_parquet(${quoteLiteral(path)})`);
      opened.set(name, await openTable(database, name, { path }));
    }
    const joined = await openTable(database, null, table);
    await nameJoined(database, joined, options);
    return await validate(database, joined, opened, options, paths);
  } finally {
    database.close();
  }
}

/** People's SQL knows the table as `joined`; a source of that name would be another. */
async function nameJoined(
  database: Database,
  joined: CheckedTable,
  { rules, sources = {} }: ValidationOptions,
): Promise<void> {
  if (!Object.keys(sources).some((name) => name.toLowerCase() === JOINED)) {
    await database.run(`CREATE VIEW ${quoteIdent(JOINED)} AS SELECT * FROM ${joined.from}`);
    return;
  }
  const asked = rules.findIndex((rule) => rule.expect === 'sql' && rule.query !== undefined);
  if (asked >= 0)
    throw new PerennialError(
      'SpecInvalid',
      `expectations[${asked}].query: ${JOINED} is the checked table here, and a source has that name too; rename the source`,
    );
}

async function validate(
  database: Database,
  joined: CheckedTable,
  sources: ReadonlyMap<string, CheckedTable>,
  options: ValidationOptions,
  paths: { kept: string; quarantine: string },
): Promise<Validation> {
  const { rules, asOf, target, task, personal = [], personalIn = {} } = options;
  const features = options.features ?? joined.columns.map((column) => column.name);
  const context = { joined, sources, asOf, target, task, features };
  const checks: Check[] = [];
  for (const [index, rule] of rules.entries()) {
    const check = await compileRule(database, rule, index, context);
    if (check) checks.push(check);
  }
  const of = (table: CheckedTable, among: readonly Check[] = checks): Check[] =>
    among.filter((check) => check.table === table);
  const tables = [...new Set([joined, ...checks.map((check) => check.table)])];

  const count = { scans: checks.filter((check) => check.rule.expect === 'outliers').length };
  const rows = new Map<CheckedTable, number>();
  const findings = new Map<number, Finding>();
  for (const table of tables) {
    const scanned = await scanTable(database, table, of(table), count);
    rows.set(table, scanned.rows);
    for (const [index, finding] of scanned.findings) findings.set(index, finding);
  }
  const results = checks.map((check) =>
    resultOf(check.rule, findings.get(check.index) ?? { violations: 0 }, rows.get(check.table) ?? 0),
  );
  const passed = allPassed(results);

  const rowWise = checks.filter((check) => check.condition !== undefined || check.flagged !== undefined);
  const violated = rowWise.filter((check) => (findings.get(check.index)?.violations ?? 0) > 0);
  const removing = violated.filter(
    (check) => isRowRule(check.rule) && check.rule.rows !== 'stop' && results[checks.indexOf(check)]?.passed,
  );
  const flags = await Flags.create(database, violated);
  const total = rows.get(joined) ?? 0;
  const removal: Removal | undefined =
    passed && removing.length > 0
      ? await removeRows(database, joined, of(joined, violated), removing, flags, total, paths)
      : undefined;
  const maskedOf = (name: string | null): readonly string[] =>
    name !== null && Object.hasOwn(personalIn, name) ? (personalIn[name] ?? personal) : personal;
  const examples: RuleExamples[] = [];
  for (const table of tables)
    examples.push(...(await examplesOf(database, table, of(table, violated), flags, maskedOf(table.name))));
  const place = new Map(checks.map((check, position) => [check.index, position]));
  const { dropped = 0, quarantined = 0 } = removal ?? {};
  return {
    report: {
      schemaVersion: 1,
      asOf,
      engine: `duckdb ${duckdbVersion()}`,
      table: { rows: total, columns: joined.columns },
      passed,
      results,
      examples: examples
        .map((item) => ({ ...item, result: place.get(item.result) ?? 0 }))
        .sort((a, b) => a.result - b.result),
      dropped,
      quarantined,
      kept: total - dropped - quarantined,
    },
    ...(removal ? { kept: removal.kept } : {}),
    ...(removal?.quarantine ? { quarantine: removal.quarantine } : {}),
    scans: count.scans,
  };
}
