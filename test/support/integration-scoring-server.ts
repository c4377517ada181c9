import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { freePort } from './free-port.ts';

/** MLflow's own scoring server. */
export interface ScoringServer {
  url: string;
  stop(): Promise<void>;
}

/** Starts `mlflow models serve` for a model and waits until it answers. */
export async function serveByMlflow(options: {
  python: string;
  modelUri: string;
  trackingUri: string;
  folder: string;
}): Promise<ScoringServer> {
  const port = await freePort();
  const log = join(options.folder, 'scoring-server.log');
  const out = openSync(log, 'a');
  const args = ['-m', 'mlflow', 'models', 'serve', '-m', options.modelUri, '--env-manager', 'local'];
  // Its own process group: the command starts the server as a child, which must end with it.
  const child = spawn(options.python, [...args, '-h', '127.0.0.1', '-p', String(port)], {
    cwd: options.folder,
    detached: true,
    stdio: ['ignore', out, out],
    env: {
      ...process.env,
      // The command looks for uvicorn in PATH.
      PATH: `${dirname(options.python)}${delimiter}${process.env.PATH ?? ''}`,
      MLFLOW_TRACKING_URI: options.trackingUri,
      MLFLOW_DISABLE_TELEMETRY: 'true',
      DO_NOT_TRACK: 'true',
    },
  });
  closeSync(out);
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
    await ended;
  };
  const url = `http://127.0.0.1:${port}`;
  while (child.exitCode === null) {
    const answer = await fetch(`${url}/ping`).catch(() => undefined);
    if (answer?.ok) return { url, stop };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(
    `mlflow models serve ended with ${child.exitCode}:\n${readFileSync(log, 'utf8').slice(-3000)}`,
  );
}
