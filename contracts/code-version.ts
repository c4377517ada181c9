import { z } from 'zod';

/** The code that a run was started from. */
export const codeVersion = z.strictObject({
  commit: z.string().max(64).nullable(),
  /** Whether files differed from the commit. */
  dirty: z.boolean(),
});
export type CodeVersion = z.infer<typeof codeVersion>;
