import { z } from 'zod';
import { viewPlan } from '../../contracts/feature-store.ts';

/** See `FeatureStoreAccess`. */
const access = z.strictObject({
  place: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('lmdb'), folder: z.string() }),
    z.strictObject({ kind: z.literal('redis'), url: z.string(), password: z.string().optional() }),
  ]),
  secrets: z.strictObject({ entities: z.string(), nonces: z.string(), records: z.string() }),
});

/** What a process is asked that writes the files of a store anew. */
export const anewJob = z.strictObject({ anew: access });
export type AnewJob = z.infer<typeof anewJob>;

/** What a materialising process is asked: one view, out of files. */
export const materializeJob = z.strictObject({
  plan: viewPlan,
  /** Parquet files of each source by its name. */
  sources: z.array(z.strictObject({ name: z.string(), files: z.array(z.string()) })),
  access,
  pipeline: z.string(),
  until: z.number(),
  from: z.number().nullable().optional(),
  personal: z.boolean(),
  spillDir: z.string(),
  memoryLimit: z.string().optional(),
});
export type MaterializeJob = z.infer<typeof materializeJob>;

/** What it says in between: buckets that are complete, of those that had changed. */
export const materializeProgress = z.strictObject({ complete: z.number(), changed: z.number() });
