import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { PerennialError } from '../contracts/errors.ts';
import { DEFAULT_TASK_QUEUE } from '../contracts/names.ts';

/** What a worker may use and where its things are. Secrets are not part of it. */
export interface PerennialConfig {
  /** Folder of the artifact store, scratch files and logs. */
  dataDir: string;
  /** Python interpreter with the trainers' packages. */
  python: string;
  /** Folders that file sources may lie in. */
  sourceRoots: readonly string[];
  mlflowTrackingUri: string;
  /** Address of the MLflow UI for links; by default the tracking URI. */
  mlflowUi: string;
  taskQueue: string;
  /** Memory of each DuckDB that an activity opens, such as `8GB`; default `4GB`. */
  duckdbMemory?: string;
}

/** The variables that {@link configFromEnv} reads, for documentation and `--help`. */
export const CONFIG_VARIABLES = {
  PERENNIAL_DATA_DIR: 'folder of artifacts, scratch files and logs (default .perennial)',
  PERENNIAL_PYTHON: 'Python with the trainers’ packages (default .venv/bin/python, else python3)',
  PERENNIAL_SOURCE_ROOTS: `folders that file sources may lie in, separated by "${delimiter}" (default: the working directory)`,
  PERENNIAL_TASK_QUEUE: `Temporal task queue (default ${DEFAULT_TASK_QUEUE})`,
  PERENNIAL_MLFLOW_UI: 'address of the MLflow UI for links (default MLFLOW_TRACKING_URI)',
  PERENNIAL_DUCKDB_MEMORY: 'memory of each DuckDB, such as 512MB or 8GB (default 4GB)',
  MLFLOW_TRACKING_URI: 'address of the MLflow server (default http://127.0.0.1:5000)',
} as const;

/**
 * Reads the configuration from environment variables.
 *
 * @throws PerennialError `InputInvalid` where one makes no sense
 * @example
 * const config = configFromEnv(process.env);
 */
export function configFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  cwd = process.cwd(),
): PerennialConfig {
  const mlflowTrackingUri = env.MLFLOW_TRACKING_URI ?? 'http://127.0.0.1:5000';
  const venv = join(cwd, '.venv', 'bin', 'python');
  return {
    dataDir: resolve(cwd, env.PERENNIAL_DATA_DIR ?? '.perennial'),
    python: env.PERENNIAL_PYTHON ?? (existsSync(venv) ? venv : 'python3'),
    sourceRoots: (env.PERENNIAL_SOURCE_ROOTS ?? cwd)
      .split(delimiter)
      .filter(Boolean)
      .map((root) => resolve(cwd, root)),
    mlflowTrackingUri,
    mlflowUi: env.PERENNIAL_MLFLOW_UI ?? withoutCredentials(mlflowTrackingUri),
    taskQueue: env.PERENNIAL_TASK_QUEUE ?? DEFAULT_TASK_QUEUE,
    duckdbMemory: memoryOf(env.PERENNIAL_DUCKDB_MEMORY ?? '4GB'),
  };
}

/** DuckDB takes a mistaken unit for an internal error, and fails at its first query where it has next to nothing. */
function memoryOf(text: string): string {
  if (!/^[1-9]\d*(\.\d+)? ?[MGT]i?B$/i.test(text))
    throw new PerennialError(
      'InputInvalid',
      `PERENNIAL_DUCKDB_MEMORY is "${text}"; expected a number with MB, GB, TB, MiB, GiB or TiB, such as 4GB`,
    );
  return text;
}

function withoutCredentials(uri: string): string {
  try {
    const url = new URL(uri);
    url.username = '';
    url.password = '';
    return url.toString().replace(/\/$/, '');
  } catch {
    return uri;
  }
}
