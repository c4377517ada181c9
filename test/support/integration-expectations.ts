import { type Expectation, expectation } from '../../contracts/spec/expectations.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { runExpectations, type Validation, type ValidationOptions } from '../../lib/expectations/run.ts';
import type { DataFixture } from './integration-data.ts';

export const AS_OF = '2025-06-01T00:00:00Z';

export const parsed = (rules: readonly object[]): Expectation[] =>
  rules.map((rule): Expectation => expectation.parse(rule));

/** Checks rules of a table that a query makes, in folders of their own. */
export async function checkSql(
  data: DataFixture,
  sql: string,
  rules: readonly object[],
  options: Partial<ValidationOptions> = {},
): Promise<Validation> {
  const folder = await data.scratch();
  const path = `${folder}/table.parquet`;
  await data.database.copyToParquet(sql, path);
  return checkFile(data, path, rules, options);
}

/** Checks rules of a Parquet file. */
export async function checkFile(
  data: DataFixture,
  path: string,
  rules: readonly object[],
  options: Partial<ValidationOptions> = {},
): Promise<Validation> {
  const folder = await data.scratch();
  return runExpectations({
    table: { path },
    rules: parsed(rules),
    asOf: AS_OF,
    outputDir: folder,
    tempDir: `${folder}/spill`,
    threads: 2,
    ...options,
  });
}

/** The rows of a Parquet file. */
export const rowsOf = (data: DataFixture, path: string | undefined): Promise<Record<string, unknown>[]> =>
  data.database.rows(`SELECT * FROM read_parquet(${quoteLiteral(path ?? '')})`);
