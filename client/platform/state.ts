import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { platformPaths, writePrivateFile } from './files.ts';
import { PORT_NAMES } from './ports.ts';

/** The parts of a platform, in the order in which they are shown. */
export const PART_NAMES = ['temporal', 'mlflow', 'worker', 'server'] as const;
export type PartName = (typeof PART_NAMES)[number];

/**
 * How a part is doing. `external`: somebody else runs it; `failed`: it crashed more often than it is restarted.
 */
export const partState = z.enum(['starting', 'ready', 'restarting', 'failed', 'stopped', 'external']);
export type PartState = z.infer<typeof partState>;

const processIdentity = z.strictObject({ pid: z.number().int().positive(), started: z.string() });

/** One part as `perennial status` shows it. Times are ISO 8601, UTC. */
export const partStatus = z.strictObject({
  name: z.enum(PART_NAMES),
  state: partState,
  /** Address of the part; the worker has none. */
  url: z.string().optional(),
  process: processIdentity.optional(),
  /** Since when the part is in this state. */
  since: z.string(),
  /** How often it was started again after a crash since the platform started. */
  restarts: z.number().int().nonnegative(),
  log: z.string().optional(),
  /** Why it is not ready. */
  note: z.string().optional(),
});
export type PartStatus = z.infer<typeof partStatus>;

/** The whole platform: what runs where. */
export const platformStatus = z.strictObject({
  dataDir: z.string(),
  /** The process that started the parts and watches them; absent where nothing runs. */
  supervisor: processIdentity.optional(),
  startedAt: z.string(),
  /** `host:port` of the Temporal frontend. */
  temporalAddress: z.string(),
  namespace: z.string(),
  /** Address of the Temporal UI, where this platform runs one. */
  temporalUi: z.string().optional(),
  mlflowUri: z.string().optional(),
  serverId: z.string(),
  /** Whether it takes recorded traffic; absent: it does not. */
  replay: z.boolean().optional(),
  parts: z.array(partStatus),
});
export type PlatformStatus = z.infer<typeof platformStatus>;

/** `platform.json`. Kept after a stop: the ports of the last start are preferred at the next. */
const platformState = z.strictObject({
  schemaVersion: z.literal(1),
  ports: z.partialRecord(z.enum(PORT_NAMES), z.number().int().min(1).max(65_535)),
  status: platformStatus,
});
export type PlatformState = z.infer<typeof platformState>;

/** Reads `platform.json`; `undefined` where there is none or it is not one of ours. */
export function readState(dataDir: string): PlatformState | undefined {
  try {
    const parsed = platformState.safeParse(JSON.parse(readFileSync(platformPaths(dataDir).state, 'utf8')));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Writes `platform.json` in one step, mode 0600. */
export function writeState(dataDir: string, state: PlatformState): void {
  writePrivateFile(platformPaths(dataDir).state, `${JSON.stringify(state, null, 2)}\n`);
}
