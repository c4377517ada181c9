import { z } from 'zod';

/**
 * What a caller of the model server may do: `predict` asks for predictions; `feedback` tells the truth about them and
 * pushes rows; `operate` asks versions that take no traffic, and looks inside (metrics).
 */
export const serverRole = z.enum(['predict', 'feedback', 'operate']);
export type ServerRole = z.infer<typeof serverRole>;

/** Requests that one caller may make: a token bucket. */
export const requestRate = z.strictObject({
  /** Requests a second in the long run. */
  perSecond: z.number().positive().max(1_000_000),
  /** Requests that may come at once after a pause. */
  burst: z.number().int().min(1).max(1_000_000),
});
export type RequestRate = z.infer<typeof requestRate>;

/** A name for logs and for `server-key revoke`; never a person's. */
export const serverKeyId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'expected up to 64 letters, digits, ".", "_" and "-", beginning with a letter or digit',
  );

/** One API key as its file holds it: the token itself is nowhere. */
export const serverKey = z.strictObject({
  id: serverKeyId,
  /** SHA-256 of the token, hexadecimal. A token has 256 random bits: nothing slower is needed against guessing. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  roles: z.array(serverRole).min(1),
  /** Endpoints that it may ask; all where it is left out. */
  endpoints: z.array(z.string().min(1).max(100)).min(1).optional(),
  rate: requestRate.optional(),
  created: z.iso.datetime(),
  expires: z.iso.datetime().optional(),
});
export type ServerKey = z.infer<typeof serverKey>;

/** The file of API keys. */
export const serverKeysFile = z
  .strictObject({ formatVersion: z.literal(1), keys: z.array(serverKey) })
  .refine(({ keys }) => new Set(keys.map(({ id }) => id)).size === keys.length, 'two keys have the same id');
export type ServerKeysFile = z.infer<typeof serverKeysFile>;

/** The file's name in the data directory. */
export const SERVER_KEYS_FILE = 'server-keys.json';
