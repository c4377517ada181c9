import { z } from 'zod';

/** What a source said of its content when it was looked at. */
export const sourceLook = z.strictObject({
  /** Cheap to have: where it is the same, nothing is new. `null`: the source says nothing without being read. */
  quick: z.string().nullable(),
  /** Of the content itself, where only that tells whether something is new; else as `quick`. */
  identity: z.string().nullable(),
});
export type SourceLook = z.infer<typeof sourceLook>;

/** The document of a pipeline's sources: what they said when something was new last. */
export const sourceLooks = z.strictObject({
  schemaVersion: z.literal(1),
  sources: z.record(z.string(), sourceLook),
  /** The look that found it, which may ask again: an answer that was lost is given again. */
  told: z.strictObject({ look: z.string(), words: z.string() }).nullable(),
});
export type SourceLooks = z.infer<typeof sourceLooks>;
