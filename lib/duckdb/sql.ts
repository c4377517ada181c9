/**
 * An SQL identifier from any name.
 *
 * @example quoteIdent('a "b"') === '"a ""b"""'
 */
export function quoteIdent(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * An SQL string literal from any text. Where DuckDB takes parameters, bind the value instead.
 *
 * @example quoteLiteral("it's") === "'it''s'"
 */
export function quoteLiteral(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
