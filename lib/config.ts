import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
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
}

/** The variables that {@link configFromEnv} reads, for documentation and `--help`. */
export const CONFIG_VARIABLES = {
  PERENNIAL_DATA_DIR: 'folder of artifacts, scratch files and logs (default .perennial)',
  PERENNIAL_PYTHON: 'Python with the trainers’ packages (default .venv/bin/python, else python3)',
  PERENNIAL_SOURCE_ROOTS: `folders that file sources may lie in, separated by "${delimiter}" (default: the working directory)`,
  PERENNIAL_TASK_QUEUE: `Temporal task queue (default ${DEFAULT_TASK_QUEUE})`,
  PERENNIAL_MLFLOW_UI: 'address of the MLflow UI for links (default MLFLOW_TRACKING_URI)',
  MLFLOW_TRACKING_URI: 'address of the MLflow server (default http://127.0.0.1:5000)',
} as const;

/**
 * Reads the configuration from environment variables.
 *
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
  };
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
