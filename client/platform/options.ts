import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { resourceName } from '../../contracts/spec/candidates.ts';
import type { SupervisionLimits } from './part.ts';
import { PORT_NAMES, type PortName } from './ports.ts';
import { PART_NAMES, type PartName, type PartStatus } from './state.ts';

/** What happened to one part. `seconds`: from its start until it was ready. */
export interface PlatformEvent {
  readonly part: PartStatus;
  readonly seconds: number | undefined;
}

/** What `Platform.start` may be told. Everything has a default. */
export interface PlatformOptions {
  /** Where everything is kept; default `.perennial` in the working directory. */
  readonly dataDir?: string;
  /** Which parts to run here; default all that no address is given for. */
  readonly parts?: readonly PartName[];
  /** `host:port` of a Temporal server that exists; none is started then. */
  readonly temporalAddress?: string;
  /** Default `default`. */
  readonly namespace?: string;
  /** Address of an MLflow server that exists; none is started then. */
  readonly mlflowUri?: string;
  /** The Temporal CLI; default see `findTemporalCli`. */
  readonly temporalCli?: string;
  /** The Python interpreter with MLflow; default see `findPython`. */
  readonly python?: string;
  /** Ports to prefer. */
  readonly ports?: Partial<Record<PortName, number>>;
  /** Name of the model server; default `local`, or one made of host and folder on a shared Temporal server. */
  readonly serverId?: string;
  /** Folders from which specs may read data; default the working directory. */
  readonly sourceRoots?: readonly string[];
  /** Resource classes whose task queues the worker polls too; default `PERENNIAL_RESOURCES`. */
  readonly resources?: readonly string[];
  /**
   * Takes recorded traffic: requests say by the header `perennial-time` when they happened, and nothing of the
   * prediction log is deleted by age unless `PERENNIAL_PREDICTIONS_KEEP` says so. For demonstrations, tests and
   * back-filling. Default: as `PERENNIAL_REPLAY` says.
   */
  readonly replay?: boolean;
  /** The program of worker and model server; default the package's own. */
  readonly script?: string;
  /** Environment of the parts; default that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Patience of the supervisor. */
  readonly limits?: Partial<SupervisionLimits>;
  /** Told of every change of a part's state. */
  readonly onEvent?: (event: PlatformEvent) => void;
}

export const DEFAULT_LIMITS: SupervisionLimits = {
  readyTimeoutMs: 120_000,
  graceMs: 15_000,
  maxRestarts: 5,
  restartDelayMs: 500,
  stableAfterMs: 60_000,
};

const checked = z.object({
  parts: z.array(z.enum(PART_NAMES)).optional(),
  temporalAddress: z
    .string()
    .regex(/^[^\s/:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i, 'expected host:port, for example 127.0.0.1:7233')
    .optional(),
  namespace: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'expected letters, digits, ".", "_" and "-"')
    .optional(),
  mlflowUri: z.url({ protocol: /^https?$/, error: 'expected http://… or https://…' }).optional(),
  serverId: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'expected up to 100 letters, digits, ".", "_" and "-"')
    .optional(),
  resources: z.array(resourceName).optional(),
  ports: z.partialRecord(z.enum(PORT_NAMES), z.number().int().min(1).max(65_535)).optional(),
});

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly dataDir: string;
  readonly parts: ReadonlySet<PartName>;
  readonly namespace: string;
  readonly serverId: string;
  readonly sourceRoots: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly limits: SupervisionLimits;
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws PerennialError `InputInvalid` that names the option
 */
export function resolveOptions(options: PlatformOptions): ResolvedOptions {
  const result = checked.safeParse(options);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw new PerennialError(
      'InputInvalid',
      `The option ${issue?.path.join('.') ?? ''} is not valid: ${issue?.message ?? ''}.`,
    );
  }
  const dataDir = resolve(options.dataDir ?? '.perennial');
  const parts = new Set<PartName>(options.parts ?? PART_NAMES);
  if (options.temporalAddress) parts.delete('temporal');
  if (options.mlflowUri) parts.delete('mlflow');
  if ((parts.has('worker') || parts.has('server')) && !parts.has('temporal') && !options.temporalAddress) {
    throw new PerennialError(
      'InputInvalid',
      'The worker and the model server need Temporal: add the part "temporal", or give temporalAddress.',
    );
  }
  return {
    dataDir,
    parts,
    namespace: options.namespace ?? 'default',
    serverId: options.serverId ?? (options.temporalAddress ? sharedServerId(dataDir) : 'local'),
    sourceRoots: (options.sourceRoots ?? ['.']).map((folder) => resolve(folder)),
    env: options.env ?? process.env,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  };
}

/** Two platforms on one Temporal server need model servers of different names; the name stays the same over restarts. */
function sharedServerId(dataDir: string): string {
  const host =
    hostname()
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .slice(0, 60) || 'host';
  return `${host}-${createHash('sha256').update(dataDir).digest('hex').slice(0, 8)}`;
}
