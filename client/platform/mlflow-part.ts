import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PerennialError } from '../../contracts/errors.ts';
import { platformPaths, writePrivateFile } from './files.ts';
import type { PartDefinition } from './part.ts';

/** Relative to the working directory, so that a restored data directory may lie anywhere. */
const DATABASE = 'sqlite:///mlflow.db';

/**
 * The MLflow server: SQLite, artifacts through its own proxy, one worker.
 *
 * `mlflow server` imports MLflow three times, one process after the other: for its command line, for the web
 * application and for a runner of evaluation jobs. The web application alone, with the settings that the command
 * line would hand to it, is ready in a quarter of the time and does all that Perennial asks for.
 *
 * Its security layer stays on and is narrowed to this one address: another `Host` (DNS rebinding) or the origin of
 * another web page is refused.
 *
 * @param python interpreter of the environment in which MLflow is installed
 */
export function mlflowPart(
  dataDir: string,
  python: string,
  port: number,
  env: NodeJS.ProcessEnv,
): PartDefinition {
  const paths = platformPaths(dataDir);
  const url = `http://127.0.0.1:${port}`;
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  const inherited = Object.entries(env).filter(
    ([name]) => !/^(_?MLFLOW_|PERENNIAL_SECRET_|PYTHON)/.test(name),
  );
  const environment: NodeJS.ProcessEnv = {
    ...Object.fromEntries(inherited),
    _MLFLOW_SERVER_FILE_STORE: DATABASE,
    _MLFLOW_SERVER_REGISTRY_STORE: DATABASE,
    _MLFLOW_SERVER_ARTIFACT_ROOT: 'mlflow-artifacts:/',
    _MLFLOW_SERVER_ARTIFACT_DESTINATION: './artifacts',
    _MLFLOW_SERVER_SERVE_ARTIFACTS: 'true',
    _MLFLOW_SGI_NAME: 'uvicorn',
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
    MLFLOW_SERVER_ALLOWED_HOSTS: hosts.join(','),
    MLFLOW_SERVER_CORS_ALLOWED_ORIGINS: hosts.map((host) => `http://${host}`).join(','),
    MLFLOW_DISABLE_TELEMETRY: 'true',
    DO_NOT_TRACK: 'true',
    PYTHONSAFEPATH: '1',
    PYTHONUNBUFFERED: '1',
  };
  return {
    name: 'mlflow',
    command: python,
    args: [
      ...['-m', 'uvicorn', 'mlflow.server.fastapi_app:app'],
      ...['--host', '127.0.0.1', '--port', String(port), '--workers', '1', '--no-access-log'],
      ...['--timeout-graceful-shutdown', '5'],
      // Longer than clients keep a connection without work: who closes it first must not be the server, which may do so
      // while a request is on its way. uvicorn's default is 5 s, as is that of Node's client.
      ...['--timeout-keep-alive', '75'],
    ],
    env: environment,
    cwd: paths.mlflow,
    log: join(paths.logs, 'mlflow.log'),
    url,
    prepare: () => migrate(paths.mlflow, paths.mlflowDb, python, environment),
    probe: async () => ((await answers(url)) ? url : undefined),
  };
}

/** `/health` answers before the database is open, so a real search follows: it creates the tables of a new one. */
async function answers(url: string): Promise<boolean> {
  const health = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2_000) });
  await health.arrayBuffer();
  if (!health.ok) return false;
  const search = await fetch(`${url}/api/2.0/mlflow/experiments/search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"max_results":1}',
    signal: AbortSignal.timeout(30_000),
  });
  await search.arrayBuffer();
  return search.ok;
}

/**
 * Brings the tables up to date where another version of MLflow wrote them. The version that last opened the database
 * stands beside it, so that the usual start does not pay for an import of MLflow.
 */
async function migrate(
  folder: string,
  database: string,
  python: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const installed = installedMlflow(python);
  const stamp = join(folder, 'version.txt');
  const last = existsSync(stamp) ? readFileSync(stamp, 'utf8').trim() : undefined;
  if (installed === undefined || installed === last) return;
  if (existsSync(database)) {
    try {
      await promisify(execFile)(python, ['-m', 'mlflow', 'db', 'upgrade', DATABASE], { cwd: folder, env });
    } catch (error) {
      throw new PerennialError(
        'StageFailed',
        `MLflow ${installed} cannot bring ${database} up to date from ${last ?? 'an unknown version'}. Restore the last backup, or install the older version. ${error instanceof Error ? error.message.slice(-400) : ''}`,
      );
    }
  }
  writePrivateFile(stamp, `${installed}\n`);
}

/** The version in the name of MLflow's metadata folder; `undefined` where the environment is laid out otherwise. */
function installedMlflow(python: string): string | undefined {
  try {
    const lib = join(dirname(dirname(python)), 'lib');
    for (const version of readdirSync(lib).filter((name) => name.startsWith('python3'))) {
      for (const name of readdirSync(join(lib, version, 'site-packages'))) {
        const match = /^mlflow-(\d[^-]*)\.dist-info$/.exec(name);
        if (match) return match[1];
      }
    }
  } catch {
    return undefined;
  }
  return undefined;
}
