import { z } from 'zod';
import { duration } from '../durations.ts';

/** A bundled module above this does not fit into a spec. */
export const MAX_MODULE_BYTES = 100_000;

/** A module as it travels: bundled into one file by the client. */
export const bundledModule = z.strictObject({
  source: z.string().min(1).max(MAX_MODULE_BYTES).meta({ description: 'One ES module without imports.' }),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal'),
});
export type BundledModule = z.infer<typeof bundledModule>;

/** A check written in TypeScript or JavaScript, on a danfojs DataFrame; see docs/custom-checks.md. */
export const customCheckRule = z.strictObject({
  expect: z.literal('custom'),
  name: z.string().min(1).max(80).optional().meta({ description: 'How reports call the rule.' }),
  module: z.union([z.string().min(1), bundledModule]).meta({
    description: 'A .ts or .js file, relative to the spec; the client bundles it into the spec.',
  }),
  export: z
    .string()
    .regex(/^[A-Za-z_$][\w$]{0,99}$/, 'the name of an export')
    .default('default'),
  rows: z
    .union([
      z.strictObject({ sample: z.number().int().min(1).max(1_000_000) }),
      z.strictObject({ chunks: z.number().int().min(1).max(1_000_000) }),
    ])
    .default({ sample: 10_000 })
    .meta({
      description: 'One call with so many sampled rows, or one call for every so many rows, in order.',
    }),
  columns: z.array(z.string().min(1)).min(1).optional().meta({ description: 'By default all.' }),
  timeout: duration.default('5m').meta({ description: 'Of the whole check; it is killed then.' }),
  memory: z
    .number()
    .int()
    .min(64)
    .max(65_536)
    .default(1024)
    .meta({ description: "Limit of the check's heap, in MiB." }),
  severity: z
    .enum(['error', 'warn'])
    .default('error')
    .meta({ description: 'error stops the run; warn is recorded in the report.' }),
});
export type CustomCheckRule = z.output<typeof customCheckRule>;
