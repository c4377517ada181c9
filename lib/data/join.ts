import { StatementType } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import type { PersonalFinding } from '../../contracts/privacy.ts';
import { MEDIA_TYPES, type TableRef } from '../../contracts/refs.ts';
import type { DataSpec } from '../../contracts/spec/data.ts';
import { isVolatile } from '../../domain/volatile-sql.ts';
import { Database } from '../duckdb/database.ts';
import { keepsFileOrder } from '../duckdb/row-order.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { snapshotFiles, snapshotRelation } from '../incremental/snapshots.ts';
import type { PersonalColumns } from '../privacy/personal-columns.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';

/** Column names and types travel through workflow histories, whose payloads are bounded. */
const MAX_COLUMNS = 500;
const REASON = '__perennial_reason';
/** A call of `error` in the engine's own tree of a statement; in a text its quotation marks would be escaped. */
const CALLS_ERROR = /"function_name":\s*"error"/i;
const SQL_AND_FILTER = 'data.sql with data.rowFilter';

/** A source's snapshot under the name that the SQL knows. */
export interface NamedSnapshot {
  name: string;
  snapshot: TableRef;
}

/** What {@link joinSources} gives. */
export interface JoinedTable {
  table: TableRef;
  setAside: { reason: string; rows: number }[];
  findings: PersonalFinding[];
}

/** Folders and limits of {@link joinSources}. */
export interface JoinOptions {
  store: ArtifactStore;
  /** Folder for files before they are stored. */
  scratchDir: string;
  /** Looks for personal columns, whose tables are encrypted at rest; left out, nothing is looked for. */
  personal?: PersonalColumns;
  /** Rows whose target is missing have no label and are set aside; left out for tables without a target. */
  target?: string;
  /** Memory of the database; default `1GB`. */
  memoryLimit?: string | undefined;
  /** Aborting interrupts the join. */
  signal?: AbortSignal;
  /** Writes the table again with more columns, from its file and those of the sources. */
  extend?: (table: JoinedFile) => Promise<ExtendedFile>;
}

/** The joined table before it is stored. */
export interface JoinedFile {
  path: string;
  columns: TableRef['columns'];
  sources: { name: string; files: string[] }[];
  /** Where the table with more columns may be written to. */
  outPath: string;
}

/** What the table is afterwards. */
export interface ExtendedFile {
  path: string;
  /** Whether it is encrypted whatever its columns are; default: where one of them is personal. */
  encrypt?: boolean;
}

/**
 * Joins the snapshots by the spec's one SELECT and sets aside the rows that the row filter names. The SQL runs in
 * a database that can read the snapshots and write the result and nothing else. A SELECT that only filters and derives
 * keeps the rows in the order of the files; what joins, groups or sorts gives a table sorted by all its columns. One
 * snapshot of which nothing is left out is the table itself.
 *
 * @throws PerennialError `SqlInvalid`
 */
export async function joinSources(
  data: DataSpec,
  snapshots: readonly NamedSnapshot[],
  options: JoinOptions,
): Promise<JoinedTable> {
  const output = `${options.scratchDir}/joined.parquet`;
  const extended = `${options.scratchDir}/extended.parquet`;
  const files = await Promise.all(snapshots.map((item) => snapshotFiles(options.store, item.snapshot)));
  const spill = `${options.scratchDir}/spill`;
  const database = await Database.create({
    tempDir: spill,
    memoryLimit: options.memoryLimit,
    onlyPaths: [...files.flat(), output, extended, spill],
    signal: options.signal,
  });
  try {
    for (const [index, item] of snapshots.entries())
      await database.view(item.name, snapshotRelation(files[index] ?? []));
    const query =
      data.sql === undefined
        ? `SELECT * FROM ${quoteIdent(snapshots[0]?.name ?? '')}`
        : await oneSelect(database, data.sql);
    const reasons = await reasonsOf(database, data, query, options.target);
    const { relation: judged, order } = await judgedRows(database, query, reasons);
    const counts = await database.rows(
      `SELECT ${REASON} AS reason, count(*) AS rows FROM ${judged} WHERE ${REASON} IS NOT NULL GROUP BY 1`,
      'SqlInvalid',
      SQL_AND_FILTER,
    );
    const setAside = reasons.map(({ reason }) => ({
      reason,
      rows: Number(counts.find((count) => count.reason === reason)?.rows ?? 0),
    }));
    const [only, ...others] = files.flat();
    const same = data.sql === undefined && counts.length === 0 && others.length === 0 ? only : undefined;
    if (same === undefined)
      await database.copyToParquet(
        `SELECT * EXCLUDE (${REASON}) FROM ${judged} WHERE ${REASON} IS NULL ${order}`,
        output,
        'SqlInvalid',
        SQL_AND_FILTER,
      );
    const path = same ?? output;
    const file = options.extend
      ? await options.extend({
          path,
          columns: await database.columns(`read_parquet(${quoteLiteral(path)})`),
          sources: snapshots.map(({ name }, index) => ({ name, files: files[index] ?? [] })),
          outPath: extended,
        })
      : { path };
    return { ...(await stored(database, file, options)), setAside };
  } finally {
    database.close();
  }
}

/**
 * The rows of the query with the reason that sets each aside, and the order that makes the file's bytes the same each
 * time. What keeps the files' order is asked twice; joins and groups run in parallel, so that they are kept, and need
 * a total order.
 */
async function judgedRows(
  database: Database,
  query: string,
  reasons: readonly Reason[],
): Promise<{ relation: string; order: string }> {
  const judged = `SELECT *, ${reasonExpression(reasons)} AS ${REASON} FROM (${query}\n)`;
  if (!isVolatile(judged) && (await keepsFileOrder(database, judged, 'SqlInvalid', SQL_AND_FILTER)))
    return { relation: `(${judged})`, order: '' };
  await database.run(`CREATE TEMP TABLE joined AS ${judged}`, 'SqlInvalid', SQL_AND_FILTER);
  return { relation: 'joined', order: 'ORDER BY ALL' };
}

/** Stores the joined table and looks for personal columns in it. */
async function stored(
  database: Database,
  { path, encrypt: isPersonal = false }: ExtendedFile,
  { store, personal }: JoinOptions,
): Promise<Pick<JoinedTable, 'table' | 'findings'>> {
  const relation = `read_parquet(${quoteLiteral(path)})`;
  const columns = await database.columns(relation);
  requireFewColumns(columns);
  const { rows } = await database.row(`SELECT count(*) AS rows FROM ${relation}`);
  const findings = (await personal?.findings(database, relation, columns)) ?? [];
  const encrypt = isPersonal || (personal?.among(columns, findings).length ?? 0) > 0;
  const artifact = await store.putFile(path, MEDIA_TYPES.parquet, { encrypt });
  return { table: { artifact, rows: Number(rows), columns }, findings };
}

interface Reason {
  where: string;
  reason: string;
}

async function reasonsOf(
  database: Database,
  data: DataSpec,
  query: string,
  target: string | undefined,
): Promise<Reason[]> {
  for (const [index, { where }] of data.rowFilter.entries())
    await oneCondition(database, where, query, `data.rowFilter[${index}].where`);
  const columns = await database.columns(`(${query}\n)`, 'SqlInvalid', 'data.sql');
  requireFewColumns(columns);
  if (columns.some((column) => column.name === REASON))
    throw new PerennialError('SqlInvalid', `data.sql: the column name ${REASON} is taken; choose another`);
  const label =
    target !== undefined && columns.some((column) => column.name === target)
      ? [{ where: `${quoteIdent(target)} IS NULL`, reason: `the target ${target} is missing` }]
      : [];
  return [...data.rowFilter, ...label];
}

function requireFewColumns({ length }: TableRef['columns']): void {
  if (length > MAX_COLUMNS)
    throw new PerennialError(
      'ColumnInvalid',
      `data.sql: the table has ${length} columns, at most ${MAX_COLUMNS} are supported; name the ones that you need in its SELECT`,
    );
}

/** @throws PerennialError `SqlInvalid` where the condition is more than one value of a row */
export async function oneCondition(
  database: Database,
  condition: string,
  query: string,
  where: string,
): Promise<void> {
  const tested = await oneSelect(database, `SELECT (${condition}\n) FROM (${query}\n)`, where);
  // COLUMNS(*) and the like would become several conditions, and the table would get columns that nobody asked for.
  const columns = await database.columns(`(${tested}\n)`, 'SqlInvalid', where);
  if (columns.length !== 1)
    throw new PerennialError(
      'SqlInvalid',
      `${where}: expected one condition, found ${columns.length} values; write one that is true or false for a row`,
    );
}

const reasonExpression = (reasons: readonly Reason[]): string =>
  reasons.length === 0
    ? 'NULL::VARCHAR'
    : `CASE ${reasons.map(({ where, reason }) => `WHEN (${where}\n) THEN ${quoteLiteral(reason)}`).join(' ')} END`;

/**
 * The text of exactly one SELECT, as DuckDB's own parser sees it.
 *
 * @throws PerennialError `SqlInvalid`
 */
export async function oneSelect(database: Database, sql: string, where = 'data.sql'): Promise<string> {
  const statements = await database.connection.extractStatements(sql).catch((error: unknown) => {
    throw new PerennialError('SqlInvalid', `${where}: ${wordsOf(error)}`, false, { cause: error });
  });
  if (statements.count !== 1)
    throw new PerennialError(
      'SqlInvalid',
      `${where}: expected exactly one SELECT, found ${statements.count} statements`,
    );
  const prepared = await statements.prepare(0).catch((error: unknown) => {
    throw new PerennialError('SqlInvalid', `${where}: ${wordsOf(error)}`, false, { cause: error });
  });
  const { statementType } = prepared;
  // It would hold the buffers of the files that it looked at until the garbage collector comes.
  prepared.destroySync();
  if (statementType !== StatementType.SELECT)
    throw new PerennialError('SqlInvalid', `${where}: only a SELECT is allowed`);
  const { tree } = await database.row(
    `SELECT CAST(json_serialize_sql(${quoteLiteral(sql)}) AS VARCHAR) AS tree`,
  );
  if (CALLS_ERROR.test(String(tree)))
    throw new PerennialError(
      'SqlInvalid',
      `${where}: error() may not be called, since its text may hold values of rows and would stand in messages; let such rows be told by an expectation`,
    );
  return withoutEnd(database, sql.trim());
}

/** DuckDB's words for a text that holds no statement, only comments or semicolons. */
const NO_STATEMENT = 'Error in native callback';

function wordsOf(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return words === NO_STATEMENT ? 'there is no statement' : words.slice(0, 800);
}

/** The statement without semicolons and comments after it: it becomes a subquery. */
async function withoutEnd(database: Database, sql: string): Promise<string> {
  const count = (text: string): Promise<number | undefined> =>
    database.connection.extractStatements(text).then(
      (statements) => statements.count,
      (error: unknown) => (error instanceof Error && error.message === NO_STATEMENT ? 0 : undefined),
    );
  // A semicolon may also stand in a literal or a comment: the parser knows which one ends the statement.
  for (const { index } of sql.matchAll(/;/g)) {
    const statement = sql.slice(0, index);
    if ((await count(statement)) === 1 && (await count(sql.slice(index))) === 0) return statement;
  }
  return sql;
}
