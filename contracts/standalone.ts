import { z } from 'zod';

/** Files of an exported model's folder, relative to it; the server reads them, `perennial export` writes them. */
export const STANDALONE_FILES = {
  server: 'server.json',
  routes: 'routes.json',
  /** Folder of the model directory. */
  model: 'model',
  /** The server's program; the folder above it is the export. */
  program: 'server/server.js',
} as const;

/** The port of an exported server that is told none. */
export const STANDALONE_PORT = 8080;

/** `server.json` of an exported model: the one version that the folder serves. */
export const standaloneServer = z.strictObject({
  formatVersion: z.literal(1),
  /** The release of Perennial whose server is in the folder. */
  perennial: z.string(),
  /** The name under which the model is asked. */
  endpoint: z.string().min(1).max(100),
  model: z.strictObject({
    name: z.string(),
    version: z.string(),
    /** The graph, relative to the folder. */
    file: z.string().regex(/^[^/\\]+(\/[^/\\]+)*$/),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    bytes: z.number().int().nonnegative(),
  }),
});
export type StandaloneServer = z.infer<typeof standaloneServer>;
