import { z } from 'zod';

/** What one live server was found to do with the candidate. */
export const serverCheck = z.strictObject({
  serverId: z.string(),
  /** Rows of the test split that were asked. */
  rows: z.number().int(),
  maxDifference: z.number(),
  /** Whether every answer was bit for bit that of the evaluation. */
  exact: z.boolean().default(false),
  p95Ms: z.number(),
  /** Resident bytes of the process that held the candidate alone; `null` where that cannot be told. */
  memoryBytes: z.number().int().nullable().default(null),
  /** Rows of the spec's own, and hostile inputs that were answered or refused as they must be. */
  requests: z.number().int().default(0),
  hostile: z.number().int().default(0),
});
export type ServerCheck = z.infer<typeof serverCheck>;
