import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { platformPaths } from './files.ts';
import type { PartDefinition } from './part.ts';

/** The line of JSON by which our own processes say that they are ready. */
const readyLine = z.object({ ready: z.literal(true), url: z.string().optional() });

/** What the worker and the model server are told, by environment variables. */
export interface OwnPartSettings {
  readonly dataDir: string;
  readonly temporalAddress: string;
  readonly namespace: string;
  readonly mlflowUri: string | undefined;
  readonly temporalUi: string | undefined;
  readonly python: string | undefined;
  readonly serverPort: number;
  readonly serverId: string;
  /** Folders from which specs may read data. */
  readonly sourceRoots: readonly string[];
  /** Resource classes whose task queues the worker polls too; default as `env` says. */
  readonly resources?: readonly string[] | undefined;
  /** Whether recorded traffic is taken; default as `env` says. */
  readonly replay?: boolean | undefined;
  /** The program with the roles `worker` and `serve`; default the package's own. */
  readonly script: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * The worker (`worker`) or the model server (`serve`): the same program in two roles.
 *
 * Variables: `TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `MLFLOW_TRACKING_URI`, `PERENNIAL_DATA_DIR`,
 * `PERENNIAL_PYTHON`, `PERENNIAL_SERVER_PORT`, `PERENNIAL_SERVER_ID`,
 * `PERENNIAL_SERVER_PROCESSES` (default 1 here), `PERENNIAL_TEMPORAL_UI`,
 * `PERENNIAL_SOURCE_ROOTS` (separated as in `PATH`), `PERENNIAL_RESOURCES`, `PERENNIAL_REPLAY`.
 */
export function ownPart(name: 'worker' | 'server', settings: OwnPartSettings): PartDefinition {
  const program = ownProgram(settings.script);
  const variables: Record<string, string | undefined> = {
    TEMPORAL_ADDRESS: settings.temporalAddress,
    TEMPORAL_NAMESPACE: settings.namespace,
    MLFLOW_TRACKING_URI: settings.mlflowUri,
    MLFLOW_DISABLE_TELEMETRY: 'true',
    DO_NOT_TRACK: 'true',
    PERENNIAL_DATA_DIR: settings.dataDir,
    PERENNIAL_PYTHON: settings.python,
    PERENNIAL_SERVER_PORT: String(settings.serverPort),
    PERENNIAL_SERVER_ID: settings.serverId,
    // A laptop has other things to do; `perennial serve` alone takes every core.
    PERENNIAL_SERVER_PROCESSES: settings.env.PERENNIAL_SERVER_PROCESSES || '1',
    PERENNIAL_TEMPORAL_UI: settings.temporalUi,
    PERENNIAL_SOURCE_ROOTS: settings.sourceRoots.join(delimiter),
    PERENNIAL_RESOURCES: settings.resources?.join(','),
    // Of the worker as well: what it deletes by age is kept, too.
    PERENNIAL_REPLAY: settings.replay === undefined ? undefined : settings.replay ? '1' : '0',
  };
  const given = Object.entries(variables).filter(([, value]) => value !== undefined);
  return {
    name,
    command: process.execPath,
    args: [...program, name === 'worker' ? 'worker' : 'serve'],
    env: { ...settings.env, ...Object.fromEntries(given) },
    cwd: process.cwd(),
    log: join(platformPaths(settings.dataDir).logs, `${name}.log`),
    probe: (output) => Promise.resolve(readyUrl(output)),
  };
}

/** The address in the ready line, `''` where it names none, `undefined` where there is no such line yet. */
export function readyUrl(output: string): string | undefined {
  const lines = output.split('\n').slice(0, -1); // the last one may be half written
  for (const line of lines) {
    if (!line.startsWith('{') || !line.includes('"ready"')) continue;
    try {
      const parsed = readyLine.safeParse(JSON.parse(line));
      if (parsed.success) return parsed.data.url ?? '';
    } catch {
      // another line that only looks like JSON
    }
  }
  return undefined;
}

/** Node's arguments for the program: compiled JavaScript as it is, TypeScript (run from source) through tsx. */
function ownProgram(script: string | undefined): string[] {
  const fromSource = import.meta.url.endsWith('.ts');
  const path =
    script ?? fileURLToPath(new URL(`../../workers/main.${fromSource ? 'ts' : 'js'}`, import.meta.url));
  return path.endsWith('.ts') ? ['--import', import.meta.resolve('tsx'), path] : [path];
}
