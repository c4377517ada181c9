import { z } from 'zod';
import { joinMoment, viewPlan } from '../../contracts/feature-store.ts';
import { featureView } from '../../contracts/spec/feature-views.ts';

/** What a joining process is asked: a table with the columns of feature views beside its own. */
export const joinJob = z.strictObject({
  /** Parquet files of each source by its name. */
  sources: z.array(z.strictObject({ name: z.string(), files: z.array(z.string()) })),
  views: z.record(z.string(), featureView),
  /** Columns of the views that are wanted; default: all. */
  columns: z.array(z.string()).optional(),
  /** A Parquet file whose rows are wanted. */
  tablePath: z.string(),
  moment: joinMoment,
  outPath: z.string(),
  spillDir: z.string(),
  memoryLimit: z.string().optional(),
});
export type JoinJob = z.infer<typeof joinJob>;

/** What it answers. */
export const joinAnswer = z.strictObject({
  plans: z.array(viewPlan),
  columns: z.array(z.strictObject({ name: z.string(), type: z.string() })),
});
export type JoinAnswer = z.infer<typeof joinAnswer>;

/** What it says in between: rows of all views that are done. */
export const joinProgress = z.strictObject({ rows: z.number() });
