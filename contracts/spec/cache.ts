import { z } from 'zod';
import { duration } from '../durations.ts';

/** How long the output of an unchanged stage is taken instead of running the stage again. */
export const cacheSpec = z
  .strictObject({
    enabled: z.boolean().default(true),
    maxAge: duration.default('30d').meta({ description: 'Older outputs are computed again.' }),
  })
  .prefault({})
  .meta({ description: 'The step cache of the data part: ingest, validate, protect, split, prepare.' });
