import { z } from 'zod';
import { routeTable, servedModel } from '../../contracts/serving.ts';
import type { PerennialConfig } from '../../lib/config.ts';
import type { BatchingLimits } from '../micro-batcher.ts';
import { requestLimits } from '../request-limits.ts';
import { accessSettings } from '../security/access.ts';
import { tlsSettings } from '../security/tls.ts';

/** Where the models' bytes are; the part of a configuration that opens the store. */
export const storeSettings = z.strictObject({
  dataDir: z.string(),
  artifactStore: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('file'), root: z.string() }),
      z.strictObject({
        kind: z.literal('s3'),
        root: z.string(),
        bucket: z.string(),
        prefix: z.string(),
        endpoint: z.string().optional(),
        region: z.string().optional(),
      }),
    ])
    .optional(),
  artifactCache: z.number().optional(),
  keyring: z.string().optional(),
  encryptAll: z.boolean().optional(),
  /** Where features are looked up; default: a folder of the data directory. */
  featureStore: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('lmdb'), folder: z.string() }),
      z.strictObject({ kind: z.literal('redis'), url: z.string() }),
    ])
    .optional(),
});
export type StoreSettings = z.infer<typeof storeSettings>;

/** Where stores lie: an optional setting is left out, not `undefined`. */
export function storeLocation(
  store: StoreSettings,
): Pick<
  PerennialConfig,
  'dataDir' | 'artifactStore' | 'artifactCache' | 'keyring' | 'encryptAll' | 'featureStore'
> {
  const { dataDir, artifactStore, artifactCache, keyring, encryptAll, featureStore } = store;
  return {
    dataDir,
    ...(artifactStore && { artifactStore: locationOf(artifactStore) }),
    ...(artifactCache !== undefined && { artifactCache }),
    ...(keyring !== undefined && { keyring }),
    ...(encryptAll !== undefined && { encryptAll }),
    ...(featureStore && { featureStore }),
  };
}

type Location = NonNullable<PerennialConfig['artifactStore']>;

function locationOf(location: NonNullable<StoreSettings['artifactStore']>): Location {
  if (location.kind === 'file') return location;
  const { endpoint, region, ...rest } = location;
  return { ...rest, ...(endpoint !== undefined && { endpoint }), ...(region !== undefined && { region }) };
}

/** As {@link BatchingLimits}. */
const batchingSettings = z.strictObject({
  maxWaitMs: z.number().min(0).max(1_000).optional(),
  maxRequests: z.number().int().min(1).optional(),
  maxRows: z.number().int().min(1).optional(),
}) satisfies z.ZodType<BatchingLimits>;

/** What a serving process is told at its start. Plain data: it goes through a pipe. */
export const servingSettings = z.strictObject({
  serverId: z.string(),
  /** Its number among the server's processes, for the log. */
  process: z.number().int(),
  /** How many there are. */
  processes: z.number().int(),
  host: z.string(),
  port: z.number().int(),
  /** Port of the plain socket on loopback that the server itself asks, beside TLS. */
  internalPort: z.number().int().optional(),
  store: storeSettings,
  access: accessSettings,
  tls: tlsSettings.optional(),
  allowAnonymous: z.boolean(),
  requests: requestLimits,
  /** Threads of one run of a model. */
  threads: z.number().int().min(1).optional(),
  /** How requests share runs of a model. */
  batching: batchingSettings,
  /** The most rows of one request. */
  maxRows: z.number().int().min(1).optional(),
  logLevel: z.string(),
  /** Whether answers are put on record, and how. */
  predictions: z
    .strictObject({
      /** Milliseconds between two synchronisations with the disk. */
      syncMs: z.number().optional(),
      /** The most bytes of segments that wait to be archived. */
      spoolBytes: z.number().optional(),
      /** Whether requests may say when they happened. */
      replay: z.boolean().optional(),
    })
    .optional(),
  /** Whether rows may be pushed, and the token for that. */
  events: z.strictObject({ token: z.string().optional() }).optional(),
});
export type ServingSettings = z.infer<typeof servingSettings>;

/** What is in force. */
export const routesSnapshot = z.strictObject({
  tables: z.array(routeTable),
  candidates: z.array(z.strictObject({ endpoint: z.string(), model: servedModel })),
});

export const startPayload = z.strictObject({ settings: servingSettings, routes: routesSnapshot });
export const endpointPayload = z.strictObject({ endpoint: z.string() });
export const candidatePayload = z.strictObject({ endpoint: z.string(), model: servedModel });
export const versionPayload = z.strictObject({ endpoint: z.string(), version: z.string() });
/** Where it listens; `internalUrl` is what the server itself asks. */
export const joined = z.strictObject({ url: z.string(), internalUrl: z.string() });
export const closePayload = z.strictObject({ delayMs: z.number(), graceMs: z.number() });
/** Requests admitted, by caller. */
export const usagePayload = z.record(z.string(), z.number());
