import type { ModelInput } from '../../contracts/serving.ts';
import { quoteIdent } from '../duckdb/sql.ts';

/** A logged input as the model's own kind: the log keeps dates as seconds and booleans as numbers. */
export function loggedInput({ name, kind }: ModelInput): string {
  const column = quoteIdent(`input_${name}`);
  if (kind === 'datetime') return `make_timestamp(CAST(round(${column} * 1000000) AS BIGINT))`;
  return kind === 'boolean' ? `(${column} <> 0)` : column;
}
