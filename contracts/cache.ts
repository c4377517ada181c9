import { z } from 'zod';
import { duration } from './durations.ts';
import { artifactRef } from './refs.ts';

/** How a stage uses what an earlier run stored. */
export const cachePolicy = z
  .strictObject({
    mode: z.enum(['use', 'refresh', 'off']).default('use').meta({
      description:
        'use: take what is stored; refresh: work again and store the result; off: neither look nor store.',
    }),
    ttl: duration.optional().meta({ description: 'How old a stored result may be. Default: any age.' }),
  })
  .prefault({});
export type CachePolicy = z.output<typeof cachePolicy>;

/** What became of one stage: worked, or taken over. */
export const stageCache = z.strictObject({
  /** Identity of stage, code, engines and input; `null` where the cache is off. */
  key: z.string().nullable(),
  hit: z.boolean(),
  /** ISO time when the result was stored; `null` where it is not in the cache. */
  storedAt: z.string().nullable(),
});
export type StageCache = z.infer<typeof stageCache>;

const stage = z.string().regex(/^[A-Za-z0-9][\w.-]{0,99}$/, { error: 'the name of a stage', abort: true });
const key = z.string().regex(/^[0-9a-f]{64}$/);
const keyBegin = z
  .string()
  .regex(/^[0-9a-f]{8,64}$/, { error: 'the first 8 or more hex digits of a key', abort: true });

/** A stored result of a stage. */
export const cacheEntry = z.object({
  schemaVersion: z.literal(1),
  key,
  stage,
  /** The pipeline that stored it; others with the same input take it, too. */
  pipeline: z.string(),
  /** ISO times. */
  storedAt: z.string(),
  lastHitAt: z.string().nullable(),
  output: z.unknown(),
  artifacts: z.array(artifactRef),
});
export type CacheEntry = z.infer<typeof cacheEntry>;

/** A stored result as a list shows it. */
export const cacheSummary = cacheEntry
  .omit({ schemaVersion: true, output: true, artifacts: true })
  .extend({ artifacts: z.number().int(), bytes: z.number().int() });
export type CacheSummary = z.infer<typeof cacheSummary>;

const filter = { stage: stage.optional(), pipeline: z.string().min(1).max(200).optional() };

export const listCacheInput = z.strictObject({
  ...filter,
  /** The newest come first. */
  limit: z.number().int().min(1).max(500).default(100),
});
export const removeCachedInput = z
  .strictObject({ ...filter, key: keyBegin.optional(), all: z.boolean().default(false) })
  .refine(({ stage, pipeline, key, all }) => all !== !!(stage ?? pipeline ?? key), {
    error: 'name a stage, a pipeline or a key, or ask for all of them',
  });
export const collectCacheInput = z.strictObject({
  /** How long what was not used is kept. */
  keep: duration.default('30d'),
});

/** Which stored results are meant. */
export interface CacheFilter {
  stage?: string | undefined;
  pipeline?: string | undefined;
  /** The first digits of a key. */
  key?: string | undefined;
}

/** The argument of workflow type `cache`. */
export const cacheInput = z.discriminatedUnion('action', [
  listCacheInput.extend({ action: z.literal('list') }),
  z.strictObject({
    action: z.literal('remove'),
    ...filter,
    key: keyBegin.optional(),
    all: z.boolean().default(false),
  }),
  collectCacheInput.extend({ action: z.literal('collect') }),
]);
export type CacheInput = z.input<typeof cacheInput>;

export const cacheList = z.strictObject({ entries: z.array(cacheSummary), total: z.number().int() });
export type CacheList = z.infer<typeof cacheList>;
export const cacheRemoval = z.strictObject({ removed: z.number().int(), kept: z.number().int() });
export type CacheRemoval = z.infer<typeof cacheRemoval>;
