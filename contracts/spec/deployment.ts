import { z } from 'zod';
import { duration } from '../durations.ts';

/** Pre-deployment checks in the real model server, and where the model goes. */
export const deploymentSpec = z
  .strictObject({
    endpoint: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and -')
      .optional()
      .meta({ description: "One endpoint is one registered model. By default the pipeline's name." }),
    precheck: z
      .strictObject({
        rows: z
          .number()
          .int()
          .min(1)
          .max(10_000)
          .default(200)
          .meta({ description: 'Rows of the test split that are sent to the server.' }),
        tolerance: z
          .number()
          .positive()
          .default(1e-6)
          .meta({ description: 'Largest difference from the answers of the evaluation.' }),
        maxLatency: duration.default('1s').meta({ description: '95th percentile of single-row requests.' }),
      })
      .prefault({}),
  })
  .prefault({});
export type DeploymentSpec = z.infer<typeof deploymentSpec>;

/** Accepted and checked; this version of Perennial does not act on it yet. */
export const monitoringSpec = z
  .strictObject({
    drift: z
      .strictObject({
        window: duration.default('1d'),
        psi: z
          .number()
          .positive()
          .default(0.2)
          .meta({ description: 'Population stability index that counts as drift.' }),
      })
      .optional(),
    quality: z
      .strictObject({ metric: z.string(), min: z.number().optional(), max: z.number().optional() })
      .optional(),
    groundTruthDelay: duration.optional(),
  })
  .optional();
