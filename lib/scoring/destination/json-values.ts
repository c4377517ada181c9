import {
  DuckDBArrayType,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  type DuckDBType,
  DuckDBTypeId,
  DuckDBUnionType,
} from '@duckdb/node-api';
import { type Database, refused } from '../../duckdb/database.ts';
import { quoteIdent } from '../../duckdb/sql.ts';

/**
 * A query whose rows JSON can hold: a number that is not finite becomes NULL, also within lists, structs and maps.
 * DuckDB would write `NaN` and `Infinity`, which is no JSON (RFC 8259, section 6).
 */
export async function jsonQuery(database: Database, query: string): Promise<string> {
  const reader = await database.connection
    .runAndReadAll(`SELECT * FROM (${query}\n) LIMIT 0`)
    .catch(refused('OutputUnwritable', 'the output'));
  const types = reader.columnTypes();
  const columns = reader.columnNames().map((name, i) => {
    const column = quoteIdent(name);
    const type = types[i];
    return type && mayBeInfinite(type) ? `${finite(column, type, 0)} AS ${column}` : column;
  });
  return `SELECT ${columns.join(', ')} FROM (${query}\n)`;
}

function mayBeInfinite(type: DuckDBType): boolean {
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) return mayBeInfinite(type.valueType);
  if (type instanceof DuckDBMapType) return mayBeInfinite(type.valueType);
  if (type instanceof DuckDBStructType) return type.entryTypes.some(mayBeInfinite);
  if (type instanceof DuckDBUnionType) return type.memberTypes.some(mayBeInfinite);
  return type.typeId === DuckDBTypeId.FLOAT || type.typeId === DuckDBTypeId.DOUBLE;
}

/** SQL of a value of a type; lambdas within lambdas need names of their own. */
function finite(value: string, type: DuckDBType, depth: number): string {
  if (!mayBeInfinite(type)) return value;
  const one = `v${depth}`;
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType)
    return `list_transform(${value}, lambda ${one}: ${finite(one, type.valueType, depth + 1)})`;
  if (type instanceof DuckDBMapType) {
    const entry = `struct_pack(k := ${one}.key, v := ${finite(`${one}.value`, type.valueType, depth + 1)})`;
    return `map_from_entries(list_transform(map_entries(${value}), lambda ${one}: ${entry}))`;
  }
  if (type instanceof DuckDBStructType) {
    const entries = type.entryNames.map((name, i) => {
      const part = `${value}.${quoteIdent(name)}`;
      const of = type.entryTypes[i];
      return `${quoteIdent(name)} := ${of ? finite(part, of, depth) : part}`;
    });
    return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${entries.join(', ')}) END`;
  }
  if (type instanceof DuckDBUnionType) return `CAST(${value} AS VARCHAR)`;
  return `CASE WHEN isfinite(${value}) THEN ${value} END`;
}
