import { badRequest } from '../request-error.ts';
import { describe } from './column-buffer.ts';
import type { InputSchema } from './input-schema.ts';
import { asObject, isObject } from './json.ts';
import type { RequestRows } from './key-columns.ts';
import { readColumns, readLists, readRecords } from './rows.ts';

const FORMATS = ['dataframe_split', 'dataframe_records', 'instances', 'inputs'] as const;

/**
 * Reads the body of MLflow's scoring protocol: an object with exactly one of `dataframe_split`,
 * `dataframe_records`, `instances` and `inputs`. Other keys (such as `params`) are ignored, as MLflow does.
 *
 * @throws RequestError 400, 413
 * @see https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally
 */
export function readInvocation(schema: InputSchema, body: unknown): RequestRows {
  const object = asObject(body);
  const formats = FORMATS.filter((format) => Object.hasOwn(object, format));
  const [format] = formats;
  if (format === undefined || formats.length > 1)
    throw badRequest(
      `the body must have exactly one of ${FORMATS.join(', ')}; it has ${formats.length === 0 ? 'none' : formats.join(' and ')}`,
    );
  const input = object[format];
  switch (format) {
    case 'dataframe_split':
      return readSplit(schema, input);
    case 'dataframe_records':
      if (!Array.isArray(input))
        throw badRequest(`dataframe_records must be a list of objects, got ${describe(input)}`);
      return readRecords(schema, format, input);
    case 'instances':
      if (!Array.isArray(input)) throw badRequest(`instances must be a list, got ${describe(input)}`);
      return readInstances(schema, format, input);
    case 'inputs':
      if (isObject(input)) return readColumns(schema, format, input);
      if (Array.isArray(input)) return readInstances(schema, format, input);
      throw badRequest(`inputs must be an object of columns or a list of rows, got ${describe(input)}`);
  }
}

/** `{"columns": [names], "data": [[values], …]}`; an `index` carries nothing for the model. */
function readSplit(schema: InputSchema, split: unknown): RequestRows {
  if (!isObject(split))
    throw badRequest(`dataframe_split must be an object with columns and data, got ${describe(split)}`);
  const { columns, data } = split;
  if (!Array.isArray(columns))
    throw badRequest('dataframe_split.columns must be a list of column names; positions are not guessed');
  if (!Array.isArray(data)) throw badRequest('dataframe_split.data must be a list of rows');
  return readLists(schema, 'dataframe_split.data', schema.indicesOf(columns), data);
}

/**
 * Rows as objects; as lists with one value for each input, in the order of the signature; or as bare values where
 * the model has one input. The first row tells which.
 */
function readInstances(schema: InputSchema, field: string, rows: readonly unknown[]): RequestRows {
  const [first] = rows;
  if (first === undefined || isObject(first)) return readRecords(schema, field, rows);
  const indices = schema.inputs.map((_, index) => index);
  if (Array.isArray(first)) return readLists(schema, field, indices, rows);
  if (indices.length !== 1)
    throw badRequest(
      `${field}, row 0: expected an object of columns or a list of values, got ${describe(first)}`,
    );
  return readLists(
    schema,
    field,
    indices,
    rows.map((value) => (Array.isArray(value) ? value : [value])),
  );
}
