/** DuckDB's types as far as privacy cares. */
export type TypeFamily = 'text' | 'integer' | 'decimal' | 'float' | 'date' | 'timestamp' | 'nested' | 'other';

const INTEGER = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;

/**
 * The family of a DuckDB type as DESCRIBE writes it.
 *
 * @example typeFamily('DECIMAL(18,3)') === 'decimal'
 */
export function typeFamily(type: string): TypeFamily {
  if (/(\[\d*\]|^(STRUCT|MAP|UNION|LIST)\b.*)$/s.test(type) || type === 'JSON') return 'nested';
  if (type === 'VARCHAR' || type.startsWith('ENUM')) return 'text';
  if (INTEGER.test(type)) return 'integer';
  if (type.startsWith('DECIMAL')) return 'decimal';
  if (type === 'DOUBLE' || type === 'FLOAT') return 'float';
  if (type === 'DATE') return 'date';
  return type.startsWith('TIMESTAMP') ? 'timestamp' : 'other';
}
