import type { DataFrame } from 'danfojs-node';

/** What a custom check is told beside its rows. */
export interface CheckContext {
  /** Rows of the whole table. */
  tableRows: number;
  /** Index of the first row of this frame in the table, from 0; null for a sample. */
  firstRow: number | null;
  /** Number of this frame, from 0. */
  chunk: number;
}

/** What a custom check answers. */
export interface CheckVerdict {
  passed: boolean;
  /** For the report, at most 300 characters. It is shown to people: say no values of single rows. */
  message?: string;
  /** Violating rows of this frame. */
  violations?: number;
}

/**
 * The function that a module of custom checks exports. It may be asynchronous.
 *
 * @example
 * import type { CustomCheck } from 'perennial-mlops';
 * const check: CustomCheck = (frame) => ({ passed: frame['amount'].max() < 1e6 });
 * export default check;
 */
export type CustomCheck = (frame: DataFrame, context: CheckContext) => CheckVerdict | Promise<CheckVerdict>;
