import { z } from 'zod';
import { duration, durationMs } from '../durations.ts';
import { size } from '../sizes.ts';
import { rolloutSpec } from './rollout.ts';

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
        maxMemory: size.default('2GB').meta({
          description: 'What the process that holds the candidate alone may have resident (Linux).',
        }),
        requests: z
          .array(
            z.strictObject({
              row: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
              expect: z
                .record(z.string(), z.union([z.string(), z.number()]))
                .optional()
                .meta({
                  description: 'What must be answered, by output; numbers within the tolerance.',
                }),
              refused: z
                .boolean()
                .default(false)
                .meta({ description: 'Whether it must be refused with 4xx.' }),
            }),
          )
          .max(100)
          .default([])
          .meta({ description: 'Rows of your own with what must come of them.' }),
        hostile: z.boolean().default(true).meta({
          description:
            'Whether the server is asked with wrong types, huge values and broken bodies: each must be answered or refused, and the server live on.',
        }),
      })
      .prefault({}),
    rollout: rolloutSpec,
    serving: z
      .strictObject({
        entityColumn: z.string().min(1).optional().meta({
          description:
            'The feature that holds the key of whom or what a row is about, for sticky routes and late truth. Requests may name the entity in the header perennial-entity instead.',
        }),
        sticky: z
          .boolean()
          .default(false)
          .meta({ description: 'Whether the same entity keeps being answered by the same version.' }),
        deadline: duration
          .default('10s')
          .refine((text) => durationMs(text) <= 600_000, 'a duration up to 10m')
          .meta({ description: 'In which a request is answered, or refused with 503.' }),
        log: z
          .strictObject({
            sample: z
              .number()
              .min(0)
              .max(1)
              .default(1)
              .meta({ description: 'Share of the requests that the prediction log records.' }),
            features: z
              .boolean()
              .default(true)
              .meta({ description: 'Whether it records the features beside the answers.' }),
          })
          .prefault({}),
      })
      .prefault({})
      .meta({ description: 'How the endpoint treats requests.' }),
  })
  .prefault({});
export type DeploymentSpec = z.infer<typeof deploymentSpec>;

/** What `deployment` names and no request can carry. */
export function deploymentIssues({
  columns,
  deployment,
}: {
  columns: { target: string; entity: readonly string[]; ignored: readonly string[] };
  deployment: DeploymentSpec;
}): { path: PropertyKey[]; message: string }[] {
  const { entityColumn } = deployment.serving;
  if (entityColumn === undefined) return [];
  const path = ['deployment', 'serving', 'entityColumn'];
  if (entityColumn === columns.target)
    return [{ path, message: `${entityColumn} is the target, which no request carries` }];
  const role = columns.ignored.includes(entityColumn) ? 'ignored' : 'entity';
  if (columns[role].includes(entityColumn))
    return [
      {
        path,
        message: `${entityColumn} stands in columns.${role}, so that no request carries it; let clients name the entity in the header perennial-entity`,
      },
    ];
  return [];
}
