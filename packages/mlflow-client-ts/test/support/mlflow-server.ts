import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** How a test server differs from the plain one. */
export interface ServerOptions {
  /** Further arguments of `mlflow server`. */
  args?: readonly string[];
  /** Further environment. */
  env?: Readonly<Record<string, string>>;
  /** Where artifacts go, given the server's own directory. Default: a local directory in it. */
  artifacts?: (directory: string) => string;
}

/** A running `mlflow server`. */
export interface MlflowServer {
  readonly uri: string;
  /** Directory with database, artifacts and log; gone after `stop`. */
  readonly directory: string;
  stop(): Promise<void>;
}

/** Python with MLflow: `PERENNIAL_PYTHON`, else the nearest virtual environment upwards. */
export function findPython(): string {
  const named = process.env.PERENNIAL_PYTHON;
  if (named !== undefined && named !== '') return named;
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    const candidate = join(at, '.venv', 'bin', 'python');
    if (existsSync(candidate)) return candidate;
    if (dirname(at) === at) throw new Error('no Python with MLflow: set PERENNIAL_PYTHON or create .venv');
  }
}

/** Whether Python can import `module`. */
export async function canImport(module: string): Promise<boolean> {
  const code = `import importlib.util, sys; sys.exit(importlib.util.find_spec(${JSON.stringify(module)}) is None)`;
  try {
    await promisify(execFile)(findPython(), ['-c', code]);
    return true;
  } catch {
    return false;
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port);
        else reject(new Error('no port'));
      });
    });
  });
}

/** Starts a server and waits until it answers. */
export async function startMlflow(options: ServerOptions = {}): Promise<MlflowServer> {
  const directory = await mkdtemp(join(tmpdir(), 'mlflow-client-ts-'));
  const port = await freePort();
  const log = join(directory, 'server.log');
  const destination = options.artifacts?.(directory) ?? join(directory, 'artifacts');
  const args = [
    ...['-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', String(port), '--workers', '1'],
    ...['--backend-store-uri', `sqlite:///${join(directory, 'mlflow.db')}`],
    ...['--artifacts-destination', destination],
    ...(options.args ?? []),
  ];
  const { openSync, closeSync } = await import('node:fs');
  const out = openSync(log, 'a');
  // Its own process group: `mlflow server` starts workers that must end with it.
  const child = spawn(findPython(), args, {
    cwd: directory,
    detached: true,
    stdio: ['ignore', out, out],
    env: {
      ...process.env,
      MLFLOW_DISABLE_TELEMETRY: 'true',
      DO_NOT_TRACK: 'true',
      // The job runner of GenAI features would cost seconds and memory; nothing here needs it.
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
      ...options.env,
    },
  });
  closeSync(out);
  const uri = `http://127.0.0.1:${port}`;
  const stop = async (): Promise<void> => {
    await endGroup(child);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    await untilHealthy(uri, child);
  } catch (error) {
    const tail = (await readFile(log, 'utf8').catch(() => '')).split('\n').slice(-25).join('\n');
    await stop();
    throw new Error(`mlflow server did not start: ${String(error)}\n${tail}`);
  }
  return { uri, directory, stop };
}

async function untilHealthy(uri: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + 80_000;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`it ended with code ${child.exitCode}`);
    const answer = await fetch(`${uri}/health`).catch(() => undefined);
    if (answer?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('it was not healthy within 80 s');
}

async function endGroup(child: ChildProcess): Promise<void> {
  const { pid } = child;
  if (pid === undefined) return;
  const signal = (name: NodeJS.Signals): boolean => {
    try {
      return process.kill(-pid, name);
    } catch {
      return false;
    }
  };
  signal('SIGTERM');
  for (let i = 0; i < 50; i += 1) {
    if (!signal('SIGCONT')) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  signal('SIGKILL');
}
