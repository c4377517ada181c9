import { z } from 'zod';
import { rowRange } from '../../contracts/refs.ts';
import { scoringPlan } from './plan.ts';

/** What a scoring process is asked: answers for a range of rows, as a Parquet file. */
export const scoreJob = z.strictObject({
  plan: scoringPlan.omit({
    cache: true,
    table: true,
    slices: true,
    encrypt: true,
    subject: true,
    modelName: true,
  }),
  /** A file with rows of the batch. */
  parquetPath: z.string(),
  /** The rows of that file that are scored. */
  rows: rowRange,
  /** Which row of the batch the first one of the file is. */
  offset: z.number().int().min(0),
  modelPath: z.string(),
  outPath: z.string(),
  spillDir: z.string(),
  memoryLimit: z.string().optional(),
  batchRows: z.number().int().min(1),
  threads: z.number().int().min(1),
});
export type ScoreJob = z.infer<typeof scoreJob>;

/** What it answers. */
export const scoreAnswer = z.strictObject({ rows: z.number(), invalid: z.number() });
export type ScoreAnswer = z.infer<typeof scoreAnswer>;

/** What it says in between. */
export const scoreProgress = z.strictObject({ rows: z.number() });
