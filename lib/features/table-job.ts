import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../../contracts/errors.ts';
import { rawColumn } from './feature-plan.ts';

/** The name of the Parquet reader's own column with a row's number in the file. */
export const ROW_NUMBER = 'file_row_number';

/** What a table process is asked to do: rows of a Parquet file through an ONNX graph into their place in a `.npy` file. */
export const tableJob = z.strictObject({
  parquetPath: z.string(),
  columns: z.array(rawColumn),
  /** Whether the table must have all columns. */
  strict: z.boolean(),
  /** A further float input that SQL computes from the table's own columns. */
  computed: z.strictObject({ name: z.string(), sql: z.string() }).optional(),
  /** The rows to be read; all where it is left out. */
  range: z.strictObject({ from: z.number().int().min(0), before: z.number().int().min(0) }).optional(),
  graphPath: z.string(),
  /**
   * The float outputs to keep. One of rank 2 gives a matrix `[n, f]`; several of rank 1 stand side by side, `[n, k]`;
   * one of rank 1 gives `[n]`.
   */
  outputs: z.array(z.string()).min(1),
  /** The shape of one row: `[f]`, `[k]` or `[]`. */
  rowShape: z.array(z.number().int().min(1)).max(1),
  outPath: z.string(),
  batchRows: z.number().int().min(1),
  threads: z.number().int().min(1),
});
export type TableJob = z.infer<typeof tableJob>;

const codes = Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]];

/** What it answers. */
export const tableAnswer = z.discriminatedUnion('done', [
  z.strictObject({ done: z.literal(true), rows: z.number() }),
  z.strictObject({
    done: z.literal(false),
    code: z.enum(codes),
    message: z.string(),
    retryable: z.boolean(),
  }),
]);
export type TableAnswer = z.infer<typeof tableAnswer>;
