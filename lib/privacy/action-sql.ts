import { PerennialError } from '../../contracts/errors.ts';
import type { PersonalColumn, PrivacyAction } from '../../contracts/spec/privacy.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { type TypeFamily, typeFamily } from './column-types.ts';
import { maskValue } from './mask.ts';
import { pseudonymSql } from './pseudonym.ts';

/** A column of the table with what the spec declares about it. */
export interface DeclaredColumn {
  name: string;
  type: string;
  declared: PersonalColumn;
}

const NUMBERS: readonly TypeFamily[] = ['integer', 'decimal', 'float'];

function needs(column: DeclaredColumn, families: readonly TypeFamily[], what: string): void {
  if (!families.includes(typeFamily(column.type)))
    throw new PerennialError(
      'ColumnInvalid',
      `privacy.columns.${column.name}: ${what}, but the column is ${column.type}; convert it in data.sql, or choose another action`,
    );
}

/** A number as an SQL literal that is no DECIMAL of few digits. */
const number = (value: number): string => `${value}::DOUBLE`;

/** Whole numbers stay of their type where the limit is one too. */
const bound = (column: DeclaredColumn, limit: number): string =>
  typeFamily(column.type) === 'integer' && Number.isSafeInteger(limit)
    ? // A limit beyond the type is never reached, so that its missing value is never taken.
      `TRY_CAST(${limit} AS ${column.type})`
    : number(limit);

/** Not a number is no number to compare: DuckDB takes it for greater than all. */
const isNumber = (column: DeclaredColumn): string =>
  typeFamily(column.type) === 'float' ? ` AND NOT isnan(${quoteIdent(column.name)})` : '';

function limited(
  column: DeclaredColumn,
  topCode: number | undefined,
  bottomCode: number | undefined,
): string {
  needs(column, NUMBERS, 'topCode and bottomCode are for numbers');
  const name = quoteIdent(column.name);
  const cases = [
    ...(topCode === undefined
      ? []
      : [`WHEN ${name} > ${number(topCode)}${isNumber(column)} THEN ${bound(column, topCode)}`]),
    ...(bottomCode === undefined
      ? []
      : [`WHEN ${name} < ${number(bottomCode)} THEN ${bound(column, bottomCode)}`]),
  ];
  return `CASE ${cases.join(' ')} ELSE ${name} END`;
}

function binned(column: DeclaredColumn, edges: readonly number[]): string {
  needs(column, NUMBERS, 'bins are for numbers');
  const name = quoteIdent(column.name);
  const first = edges[0] ?? 0;
  const last = edges.at(-1) ?? 0;
  const labels = edges
    .slice(1)
    .map((edge, i) => `WHEN ${name} < ${number(edge)} THEN ${quoteLiteral(`[${edges[i]},${edge})`)}`);
  const missing = typeFamily(column.type) === 'float' ? `WHEN isnan(${name}) THEN NULL ` : '';
  return `CASE WHEN ${name} IS NULL THEN NULL ${missing}WHEN ${name} < ${number(first)} THEN ${quoteLiteral(`<${first}`)} ${labels.join(' ')} ELSE ${quoteLiteral(`>=${last}`)} END`;
}

function rounded(column: DeclaredColumn, step: number): string {
  needs(column, NUMBERS, 'round is for numbers');
  const name = quoteIdent(column.name);
  // Of a step below 1 the product has an error of rounding: 3 · 0.1 is 0.30000000000000004.
  const digits = Math.max(0, -Math.floor(Math.log10(step))) + 6;
  const value = `round(round(${name}::DOUBLE / ${number(step)}) * ${number(step)}, ${Math.min(digits, 15)})`;
  return typeFamily(column.type) === 'integer' && Number.isSafeInteger(step)
    ? `CAST(${value} AS HUGEINT)`
    : value;
}

function truncated(column: DeclaredColumn, part: string): string {
  needs(column, ['date', 'timestamp'], 'truncate is for dates and times');
  // Of a DATE the engine makes a TIMESTAMP.
  return `CAST(date_trunc('${part}', ${quoteIdent(column.name)}) AS ${column.type})`;
}

/**
 * Values as the text of which the pseudonym is taken: 42, 42.0 and "42" are one person.
 *
 * @throws PerennialError `ColumnInvalid` for lists and the like
 */
export function pseudonymText(column: DeclaredColumn): string {
  needs(
    column,
    ['text', 'integer', 'decimal', 'float', 'date', 'timestamp', 'other'],
    'a pseudonym needs single values',
  );
  const name = quoteIdent(column.name);
  const family = typeFamily(column.type);
  const whole =
    family === 'float' || family === 'decimal'
      ? `CASE WHEN isfinite(${name}::DOUBLE) AND ${name} = trunc(${name}) AND abs(${name}) < 9007199254740992 THEN CAST(CAST(${name} AS BIGINT) AS VARCHAR) ELSE CAST(${name} AS VARCHAR) END`
      : `CAST(${name} AS VARCHAR)`;
  return whole;
}

/** What pseudonyms need beside the column. */
export interface PseudonymContext {
  version: string;
  /** Gives the name of the function that makes phone numbers of a region alike. */
  phoneFunction: (region: string | undefined) => string;
}

/**
 * The SQL expression of a column after its action; `undefined` where it is dropped. Missing values stay missing.
 *
 * @throws PerennialError `ColumnInvalid` where the action does not fit the type
 */
export function actionSql(column: DeclaredColumn, context: PseudonymContext): string | undefined {
  const { action, kind, region } = column.declared;
  const name = quoteIdent(column.name);
  if (action === 'keep') return name;
  if (action === 'drop') return undefined;
  if (action === 'mask')
    return `CASE WHEN ${name} IS NULL THEN NULL ELSE ${quoteLiteral(maskValue('', kind) ?? '')} END`;
  if (action === 'pseudonym')
    return pseudonymSql(
      pseudonymText(column),
      kind,
      context.version,
      kind === 'phone' ? context.phoneFunction(region) : '',
    );
  if (action.truncate !== undefined) return truncated(column, action.truncate);
  if (action.bins !== undefined) return binned(column, action.bins);
  if (action.round !== undefined) return rounded(column, action.round);
  if (action.prefix !== undefined) {
    needs(column, ['text'], 'prefix is for text');
    return `left(CAST(${name} AS VARCHAR), ${action.prefix})`;
  }
  return limited(column, action.topCode, action.bottomCode);
}

/** The action in words, for the record of a run. */
export function actionWords(action: PrivacyAction, kind: string | undefined, version: string): string {
  if (action === 'keep') return 'kept on purpose';
  if (action === 'drop') return 'dropped';
  if (action === 'mask') return 'masked';
  if (action === 'pseudonym')
    return `pseudonym by HMAC-SHA-256, key version ${version}${kind === undefined ? '' : `, values made alike as ${kind}`}`;
  if (action.truncate !== undefined) return `truncated to ${action.truncate}`;
  if (action.bins !== undefined) return `in ${action.bins.length + 1} bins`;
  if (action.round !== undefined) return `rounded to ${action.round}`;
  if (action.prefix !== undefined) return `cut to its first ${action.prefix} characters`;
  return [
    ...(action.topCode === undefined ? [] : [`top-coded at ${action.topCode}`]),
    ...(action.bottomCode === undefined ? [] : [`bottom-coded at ${action.bottomCode}`]),
  ].join(', ');
}
