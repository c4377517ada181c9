import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import { artifactRef, rowRange, type TableRef } from '../../contracts/refs.ts';
import { type ModelSignature, servedModel } from '../../contracts/serving.ts';
import { rawColumnsSql } from '../features/raw-sql.ts';
import { ROW_NUMBER } from '../features/table-job.ts';
import { LOG_COLUMNS } from '../predictions/log-columns.ts';

/** Encrypted rows are kept chunk by chunk: each would have to decrypt all of them otherwise. */
const slice = z.strictObject({ rows: rowRange, artifact: artifactRef });
export type RowSlice = z.infer<typeof slice>;

const tableColumn = z.strictObject({ name: z.string(), type: z.string() });

/** How every chunk of a batch is scored; stored as JSON, since it would not fit into a history for each of them. */
export const scoringPlan = z.strictObject({
  schemaVersion: z.literal(1),
  /** The rows. */
  table: artifactRef,
  slices: z.array(slice),
  columns: z.array(tableColumn),
  model: servedModel,
  /** Columns of the table that are written, and what they are called there. */
  passThrough: z.array(z.strictObject({ column: z.string(), as: z.string() })),
  entity: z.string().nullable(),
  /** Whether the inputs of the model are written. */
  features: z.boolean(),
  invalid: z.enum(['fail', 'quarantine']),
  /** How answers of earlier batches are taken over. */
  cache: z.enum(['use', 'refresh', 'off']),
  /** Whether answers are encrypted at rest, as the rows are. */
  encrypt: z.boolean(),
  /** By what people are found in the rows, for erasures. */
  subject: z.array(z.string()),
  /** The registered model, under whose name answers are listed. */
  modelName: z.string(),
});
export type ScoringPlan = z.infer<typeof scoringPlan>;

/** Why a row has no answer; NULL where it has one. */
export const ERROR_COLUMN = 'error';
export const inputColumn = (name: string): string => `input_${name}`;
export const outputColumn = (name: string): string => `output_${name}`;

/** A column of the rows whose name the answers have is called so. */
const RENAMED = 'source_';

/** What a batch writes beside the columns of the prediction log. */
export interface Wanted {
  passThrough: 'all' | 'none' | readonly string[];
  entity?: string | undefined;
  features: boolean;
  /** Columns of the table that the rows did not bring: `all` leaves them out. */
  joined?: readonly string[];
}

/**
 * Holds a table against the model and what is wanted of it.
 *
 * @returns `missingInputs`: optional inputs of the model that the table does not have
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`
 */
export function plannedColumns(
  columns: TableRef['columns'],
  signature: ModelSignature,
  wanted: Wanted,
): Pick<ScoringPlan, 'passThrough' | 'entity'> & { missingInputs: string[] } {
  const types = new Map(columns.map(({ name, type }) => [name, type]));
  const names = [...types.keys()];
  if (types.has(ROW_NUMBER))
    throw new PerennialError(
      'ColumnInvalid',
      `a column of the source is called ${ROW_NUMBER}, as the engine calls the number of a row; rename it in sql`,
    );
  const absent = signature.inputs.filter(({ name }) => !types.has(name));
  const required = absent.find(({ optional }) => !optional);
  if (required)
    throw missing(`the model requires the column ${required.name}, and the source`, required.name, names);
  const [first] = absent;
  if (first && absent.length === signature.inputs.length)
    throw missing(
      `none of the model's ${absent.length} inputs, such as ${first.name}, is in the source, which`,
      first.name,
      names,
    );
  // Types that the model cannot read are refused here, before a row is.
  rawColumnsSql(
    signature.inputs.map(({ name, kind }) => ({ name, kind })),
    types,
  );
  for (const [field, asked] of [
    ['passThrough', typeof wanted.passThrough === 'string' ? [] : wanted.passThrough],
    ['entity', wanted.entity === undefined ? [] : [wanted.entity]],
  ] as const)
    for (const name of asked)
      if (!types.has(name)) throw missing(`${field} names the column ${name}, but the source`, name, names);
  const passed =
    wanted.passThrough === 'all'
      ? names.filter((name) => !wanted.joined?.includes(name))
      : wanted.passThrough === 'none'
        ? []
        : [...new Set(wanted.passThrough)];
  return {
    passThrough: named(passed, answerNames(signature, wanted.features)),
    entity: wanted.entity ?? null,
    missingInputs: absent.map(({ name }) => name),
  };
}

/** All names of columns that a batch makes itself. */
const answerNames = (signature: ModelSignature, features: boolean): string[] => [
  ...LOG_COLUMNS,
  ...(features ? signature.inputs.map(({ name }) => inputColumn(name)) : []),
  ...signature.outputs.map(({ name }) => outputColumn(name)),
  ERROR_COLUMN,
];

/** SQL takes names for the same whose letters differ in their case only. */
function named(columns: readonly string[], own: readonly string[]): ScoringPlan['passThrough'] {
  const taken = new Set(own.map((name) => name.toLowerCase()));
  const clear = new Set(columns.map((name) => name.toLowerCase()).filter((name) => !taken.has(name)));
  return columns.map((column) => {
    if (!taken.has(column.toLowerCase())) return { column, as: column };
    const as = `${RENAMED}${column}`;
    if (taken.has(as.toLowerCase()) || clear.has(as.toLowerCase()))
      throw new PerennialError(
        'ColumnInvalid',
        `the columns ${column} and ${as} of the source would both be called ${as} in the output; rename one in sql, or leave it out by passThrough`,
      );
    return { column, as };
  });
}

function missing(what: string, name: string, names: readonly string[]): PerennialError {
  const hint = nearest(name, names);
  const shown = names.slice(0, 40).join(', ');
  return new PerennialError(
    'ColumnMissing',
    `${what} has ${shown}${names.length > 40 ? ', …' : ''}${hint ? `; did you mean ${hint}?` : ''}`,
  );
}
