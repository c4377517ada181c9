import { badRequest } from '../request-error.ts';
import { describe } from './column-buffer.ts';
import type { InputSchema } from './input-schema.ts';
import { isObject } from './json.ts';
import type { RequestRows } from './key-columns.ts';

/**
 * Reads a list of objects, one per row: `[{"age": 41, "city": "Ulm"}, …]`. A key left out is a missing value.
 *
 * @param field the body's field, for messages
 * @throws RequestError 400, 413
 */
export function readRecords(schema: InputSchema, field: string, records: readonly unknown[]): RequestRows {
  const batch = schema.batch(records.length);
  for (let row = 0; row < records.length; row++) {
    const record = records[row];
    if (!isObject(record))
      throw badRequest(`${field}, row ${row}: expected an object of columns, got ${describe(record)}`);
    let required = 0;
    // JSON.parse gives own properties only, so that for-in meets exactly the keys of the text.
    for (const name in record) {
      const index = schema.indexOf(name);
      batch.write(index, row, record[name]);
      if (schema.inputs[index]?.optional === false) required += 1;
    }
    if (required !== schema.requiredCount) throw schema.absentFrom(record, row);
  }
  return batch.finish();
}

/**
 * Reads a list of lists, one per row, whose values belong to the columns at `indices`.
 *
 * @throws RequestError 400, 413
 */
export function readLists(
  schema: InputSchema,
  field: string,
  indices: readonly number[],
  rows: readonly unknown[],
): RequestRows {
  const batch = schema.batch(rows.length);
  for (let row = 0; row < rows.length; row++) {
    const values = rows[row];
    if (!Array.isArray(values))
      throw badRequest(`${field}, row ${row}: expected a list of values, got ${describe(values)}`);
    if (values.length !== indices.length)
      throw badRequest(
        `${field}, row ${row}: expected ${indices.length} values, one for each column, got ${values.length}`,
      );
    for (let position = 0; position < indices.length; position++) {
      const index = indices[position];
      if (index !== undefined) batch.write(index, row, values[position]);
    }
  }
  return batch.finish();
}

/**
 * Reads an object of columns, `{"age": [41, 17], "city": ["Ulm", null]}`. A value may be wrapped (`[[41], [17]]`),
 * and a lone value is a column of one row.
 *
 * @throws RequestError 400, 413
 */
export function readColumns(
  schema: InputSchema,
  field: string,
  columns: Record<string, unknown>,
): RequestRows {
  const names = Object.keys(columns);
  const indices = schema.indicesOf(names);
  const lists = names.map((name) => {
    const column = columns[name];
    return Array.isArray(column) ? column : [column];
  });
  const rows = lists[0]?.length ?? 0;
  const batch = schema.batch(rows);
  for (const [position, list] of lists.entries()) {
    const index = indices[position];
    if (index === undefined) continue;
    if (list.length !== rows)
      throw badRequest(
        `${field}: the column "${names[position]}" has ${list.length} values, "${names[0]}" has ${rows}; send as many values in every column`,
      );
    for (let row = 0; row < rows; row++) batch.write(index, row, unwrapped(list[row]));
  }
  return batch.finish();
}

/** The value of a one-element list: tensors of the shape `[n, 1]` come this way. */
export function unwrapped(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}
