import { PerennialError } from '../../contracts/errors.ts';
import type { ProtectedTable } from '../../contracts/privacy.ts';
import type { TableRef } from '../../contracts/refs.ts';
import type { PrivacySpec } from '../../contracts/spec/privacy.ts';
import { missingColumn } from '../data/missing-column.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { actionSql, actionWords, type DeclaredColumn } from './action-sql.ts';
import { type PseudonymKey, registerPhoneForm, withPseudonymKey } from './pseudonym.ts';

/** Options of {@link protectTable}. */
export interface ProtectOptions {
  /** The Parquet file to write. */
  outPath: string;
  /** The resolved `privacy.pseudonymKey`; needed where a column becomes pseudonyms. */
  key?: string | undefined;
}

/**
 * Writes a table after the actions of `privacy.columns` as Parquet, in one pass. Rows and their order stay, missing
 * values stay missing, the same input gives the same bytes.
 *
 * @param relation an SQL relation in the order that is to stay; read_parquet of one file, a table or a view
 * @throws PerennialError `ColumnMissing` with the nearest word, `ColumnInvalid` where an action does not fit a type,
 * `SecretMissing` without the key, `InputInvalid` where it is too short
 * @example
 * const key = spec.privacy.pseudonymKey && secrets.resolve(spec.privacy.pseudonymKey);
 * await protectTable(database, relation, table.columns, spec.privacy, { key, outPath });
 */
export async function protectTable(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
  privacy: PrivacySpec,
  { outPath, key }: ProtectOptions,
): Promise<ProtectedTable> {
  const known = columns.map((column) => column.name);
  for (const name of Object.keys(privacy.columns))
    if (!known.includes(name)) throw missingColumn('privacy.columns', name, known);
  const declared = columns.flatMap(({ name, type }): DeclaredColumn[] => {
    const entry = Object.hasOwn(privacy.columns, name) ? privacy.columns[name] : undefined;
    return entry ? [{ name, type, declared: entry }] : [];
  });
  const version = privacy.keyVersion;
  const context = {
    version,
    phoneFunction: (region: string | undefined) => registerPhoneForm(database, region),
  };
  const expressions = new Map(declared.map((column) => [column.name, actionSql(column, context)]));
  const selected = known.flatMap((name) => {
    const expression = expressions.has(name) ? expressions.get(name) : quoteIdent(name);
    return expression === undefined ? [] : [`${expression} AS ${quoteIdent(name)}`];
  });
  if (selected.length === 0)
    throw new PerennialError(
      'ColumnInvalid',
      'privacy.columns: every column is dropped; nothing would be left',
    );
  const write = (): Promise<number> =>
    database.copyToParquet(
      `SELECT ${selected.join(', ')} FROM ${relation}`,
      outPath,
      'ColumnInvalid',
      'privacy.columns',
    );
  const needsKey = declared.some((column) => column.declared.action === 'pseudonym');
  const rows = needsKey ? await withPseudonymKey(database, requireKey(key, version), write) : await write();
  const after = await database.columns(`read_parquet(${quoteLiteral(outPath)})`);
  return {
    rows,
    columns: after,
    actions: declared.map(({ name, declared: { action, kind } }) => ({
      column: name,
      action: actionWords(action, kind, version),
      type: after.find((column) => column.name === name)?.type ?? null,
    })),
  };
}

function requireKey(key: string | undefined, version: string): PseudonymKey {
  if (key === undefined)
    throw new PerennialError(
      'SecretMissing',
      'privacy.pseudonymKey: pseudonyms need a key; name a secret there, ${env:PERENNIAL_SECRET_NAME}',
    );
  return { key, version };
}
