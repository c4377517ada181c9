import { PerennialError } from '../../contracts/errors.ts';
import type { FeatureKind } from '../../contracts/spec/features.ts';
import type { SliceSpec } from '../../contracts/spec/slices.ts';
import { missingColumn } from '../data/missing-column.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { copyNumbers } from '../duckdb/vectors.ts';
import { type CheckedTable, ROW } from '../expectations/table.ts';
import { featureKindOf } from '../features/kinds.ts';
import { valueOrNullSql } from '../features/raw-sql.ts';
import type { CodedColumn } from '../statistics/coded-column.ts';

type Bins = Extract<SliceSpec, { columns: string[] }>['bins'];

/** A column whose values become codes. */
export interface AskedColumn {
  name: string;
  /** How the model takes it; by default by its type. */
  kind?: FeatureKind | undefined;
  /** Where it is asked for, for messages. */
  where: string;
  /** Of numbers and dates: the edges between bins; by default those of the options. */
  edges?: number[] | undefined;
}

/** How values become codes. */
export interface CodeOptions {
  bins: Bins;
  /** Values of fewer rows have no name. */
  minRows: number;
  /** Values of a column at the most. */
  most: number;
  /** What happens to those above it: they have no name, or the column is refused. */
  beyond: 'unnamed' | 'refused';
  /** Every `step`-th row from `from` on. */
  rows: { from: number; step: number };
}

/** Numbers with so few different values are taken one by one. */
const FEW_VALUES = 12;
/** Longest part of a value that is shown. */
const MAX_VALUE = 60;
const DAY = 86_400;
const HOUR = 3_600;

/** A column as SQL that gives the code of a row. */
interface CodeSql {
  labels: string[];
  unnamed: number;
  sql: string;
}

/** The condition on the rows that are looked at. */
const chosen = ({ from, step }: CodeOptions['rows']): string =>
  step === 1 ? '' : `WHERE ${ROW} % ${step} = ${from}`;

/**
 * Columns of a table as codes: categories by value, numbers and dates by bin, missing values by themselves.
 *
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`
 */
export async function columnCodes(
  database: Database,
  table: CheckedTable,
  asked: readonly AskedColumn[],
  options: CodeOptions,
): Promise<CodedColumn[]> {
  const coded: CodeSql[] = [];
  for (const column of asked) coded.push(await codeSql(database, table, column, options));
  const codes = await readCodes(
    database,
    table,
    coded.map(({ sql }) => sql),
    options.rows,
  );
  return asked.map(({ name }, i) => ({
    name,
    labels: coded[i]?.labels ?? [],
    unnamed: coded[i]?.unnamed ?? 0,
    codes: codes[i] ?? new Uint16Array(),
  }));
}

/**
 * Integers that SQL gives for each row, in the order of the table's rows.
 *
 * @param expressions SQL without NULL, from 0 to 65,535
 */
export async function readCodes(
  database: Database,
  table: CheckedTable,
  expressions: readonly string[],
  rows: CodeOptions['rows'] = { from: 0, step: 1 },
  where = 'a slice',
): Promise<Uint16Array[]> {
  if (expressions.length === 0) return [];
  const relation = `${table.numbered} ${chosen(rows)}`;
  const { total } = await database.row(`SELECT count(*) AS total FROM ${relation}`);
  const codes = expressions.map(() => new Uint16Array(Number(total)));
  const columns = expressions.map((sql, i) => `CAST(${sql} AS INTEGER) AS c${i}`).join(', ');
  const result = database.streamed(`SELECT ${columns} FROM ${relation} ORDER BY ${ROW}`, 'SqlInvalid', where);
  let buffer = new Int32Array(2_048);
  let done = 0;
  for await (const chunk of result) {
    if (buffer.length < chunk.rowCount) buffer = new Int32Array(chunk.rowCount);
    for (const [i, target] of codes.entries()) {
      copyNumbers(chunk, i, 0, chunk.rowCount, buffer, 0);
      target.set(buffer.subarray(0, chunk.rowCount), done);
    }
    done += chunk.rowCount;
  }
  return codes;
}

async function codeSql(
  database: Database,
  table: CheckedTable,
  { name, kind: given, where, edges: own }: AskedColumn,
  options: CodeOptions,
): Promise<CodeSql> {
  const type = table.columns.find((column) => column.name === name)?.type;
  if (type === undefined)
    throw missingColumn(
      where,
      name,
      table.columns.map((column) => column.name),
    );
  const kind = given ?? featureKindOf(type);
  if (kind === undefined)
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: ${name} is ${type}, whose values make no slices; derive a number, a date or a text in data.sql`,
    );
  const value = valueOrNullSql({ name, kind }, type);
  const relation = `(SELECT ${value} AS v FROM ${table.numbered} ${chosen(options.rows)})`;
  const binned = kind === 'numeric' || kind === 'datetime';
  const edges = binned ? await edgesOf(database, relation, kind, own ?? options.bins) : undefined;
  return edges === undefined
    ? byValue(database, relation, { name, kind, where, value }, options)
    : byBin(name, kind, value, edges);
}

interface Column {
  name: string;
  kind: FeatureKind;
  where: string;
  /** SQL of its value. */
  value: string;
}

async function byValue(
  database: Database,
  relation: string,
  { name, kind, where, value }: Column,
  { minRows, most, beyond }: CodeOptions,
): Promise<CodeSql> {
  const rows = await database.rows(
    `SELECT v, count(*) AS n FROM ${relation} WHERE v IS NOT NULL GROUP BY v HAVING count(*) >= ${minRows} ORDER BY n DESC, v LIMIT ${most + 1}`,
  );
  const { n } = await database.row(`SELECT count(DISTINCT v) AS n FROM ${relation}`);
  if (rows.length > most && beyond === 'refused')
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: ${name} has more than ${most} values with at least ${minRows} rows; raise minRows, or derive a coarser column in data.sql`,
    );
  const values = rows.slice(0, most).map(({ v }) => v);
  const literals = values.map((one) =>
    typeof one === 'number'
      ? `CAST('${one}' AS ${kind === 'datetime' ? 'DOUBLE' : 'FLOAT'})`
      : quoteLiteral(String(one)),
  );
  const labels = [...values.map((one) => `${name} = ${shown(one, kind)}`), `${name} is missing`];
  const known = literals.length > 0 ? `list_position([${literals.join(', ')}], ${value})` : 'NULL';
  return {
    labels,
    unnamed: Number(n ?? 0) - values.length,
    sql: `CASE WHEN (${value}) IS NULL THEN ${values.length} ELSE coalesce(${known} - 1, ${labels.length}) END`,
  };
}

function byBin(name: string, kind: FeatureKind, value: string, edges: readonly number[]): CodeSql {
  const words = edges.map((edge) => shown(edge, kind));
  const labels = [
    `${name} < ${words[0]}`,
    ...words.slice(1).map((word, i) => `${name} in [${words[i]}, ${word})`),
    `${name} >= ${words.at(-1)}`,
    `${name} is missing`,
  ];
  const type = kind === 'datetime' ? 'DOUBLE' : 'FLOAT';
  const steps = edges.map((edge) => `CAST((${value}) >= CAST('${edge}' AS ${type}) AS INTEGER)`);
  return {
    labels,
    unnamed: 0,
    sql: `CASE WHEN (${value}) IS NULL THEN ${labels.length - 1} ELSE ${steps.join(' + ')} END`,
  };
}

/** Edges between bins; `undefined` where the values are so few that each is told by itself. */
async function edgesOf(
  database: Database,
  relation: string,
  kind: FeatureKind,
  bins: Bins,
): Promise<number[] | undefined> {
  if (Array.isArray(bins)) return bins;
  const shares = Array.from({ length: bins - 1 }, (_, i) => (i + 1) / bins);
  const row = await database.row(
    `SELECT count(DISTINCT v) AS n, min(v) AS low, max(v) AS high, quantile_cont(CAST(v AS DOUBLE), [${shares.join(', ')}]) AS q FROM ${relation}`,
  );
  if (Number(row.n ?? 0) <= FEW_VALUES) return undefined;
  const quantiles = Array.isArray(row.q) ? row.q.map(Number) : [];
  const [low, high] = [Number(row.low), Number(row.high)];
  const unit = high - low > 30 * DAY ? DAY : HOUR;
  // Round numbers are easier to read, and belong to nobody.
  const round = (edge: number): number =>
    kind === 'datetime' ? Math.floor(edge / unit) * unit : Number(edge.toPrecision(3));
  const edges = [...new Set(quantiles.map(round))].filter((edge) => edge > low && edge <= high);
  return edges.length > 0 ? edges : [Number(((low + high) / 2).toPrecision(3))];
}

function shown(value: unknown, kind: FeatureKind): string {
  if (typeof value !== 'number') {
    const text = String(value);
    return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
  }
  if (kind === 'boolean') return value === 0 ? 'false' : 'true';
  if (kind === 'datetime')
    return new Date(value * 1_000).toISOString().replace(/T00:00:00\.000Z$|:00\.000Z$/, '');
  return String(Number(value.toPrecision(7)));
}
