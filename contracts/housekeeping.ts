import { z } from 'zod';
import { duration } from './durations.ts';

/** The argument of workflow type `housekeeping`. */
export const housekeepingInput = z
  .strictObject({
    keepFailedRuns: duration.default('7d'),
    keepUnnamed: duration.default('7d'),
    /** Results of stages that nobody used; what they name is kept with them. */
    keepCache: duration.default('30d'),
  })
  .prefault({});
export type HousekeepingInput = z.input<typeof housekeepingInput>;

export const housekeepingResult = z.strictObject({
  deletedArtifacts: z.number().int(),
  deletedBytes: z.number().int(),
  keptArtifacts: z.number().int(),
  forgottenRuns: z.number().int(),
  forgottenResults: z.number().int(),
});
export type HousekeepingResult = z.infer<typeof housekeepingResult>;
