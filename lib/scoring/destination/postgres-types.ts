import { quoteIdent } from '../../duckdb/sql.ts';

/** Engine types under PostgreSQL's names; a type that is not here is written as text. */
const TYPES: Readonly<Record<string, string>> = {
  BOOLEAN: 'boolean',
  TINYINT: 'smallint',
  UTINYINT: 'smallint',
  SMALLINT: 'smallint',
  USMALLINT: 'integer',
  INTEGER: 'integer',
  UINTEGER: 'bigint',
  BIGINT: 'bigint',
  UBIGINT: 'numeric(20)',
  HUGEINT: 'numeric(39)',
  UHUGEINT: 'numeric(39)',
  FLOAT: 'real',
  DOUBLE: 'double precision',
  DATE: 'date',
  TIME: 'time',
  TIMESTAMP: 'timestamp',
  TIMESTAMP_S: 'timestamp',
  TIMESTAMP_MS: 'timestamp',
  TIMESTAMP_NS: 'timestamp',
  'TIMESTAMP WITH TIME ZONE': 'timestamptz',
  UUID: 'uuid',
};

/**
 * The PostgreSQL type of a column of the engine.
 *
 * @example postgresType('DECIMAL(10,2)') === 'numeric(10,2)'
 */
export function postgresType(type: string): string {
  const decimal = /^DECIMAL\((\d+),(\d+)\)$/.exec(type);
  if (decimal) return `numeric(${decimal[1]},${decimal[2]})`;
  return TYPES[type] ?? 'text';
}

/** SQL of a column as a text that PostgreSQL's COPY reads as {@link postgresType}. */
export function copiedSql({ name, type }: { name: string; type: string }): string {
  const column = quoteIdent(name);
  if (/(\[\d*\]|^(STRUCT|MAP|UNION|LIST).*)$/s.test(type))
    return `CAST(to_json(${column}) AS VARCHAR) AS ${column}`;
  if (type === 'BLOB') return `hex(${column}) AS ${column}`;
  return postgresType(type) === 'text' && type !== 'VARCHAR'
    ? `CAST(${column} AS VARCHAR) AS ${column}`
    : column;
}
