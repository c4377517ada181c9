import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { findTemporalCli } from '../../client/platform/programs.ts';
import { temporalArguments } from '../../client/platform/temporal-part.ts';
import { freePort } from './free-port.ts';

const START_DEADLINE_MS = 30_000;

/** A Temporal dev server of the tests. */
export interface TemporalServer {
  address: string;
  /** The Temporal CLI that it was started by. */
  cli: string;
  stop(): Promise<void>;
}

/** The platform's own arguments, but in memory and without the UI. */
function inMemory(args: readonly string[]): string[] {
  const withValue = new Set(['--db-filename', '--sqlite-pragma', '--ui-port']);
  return [...args.filter((arg, i) => !withValue.has(arg) && !withValue.has(args[i - 1] ?? '')), '--headless'];
}

/**
 * Starts a real Temporal server in memory on a free port, with Perennial's search attributes.
 *
 * @throws Error with the server's own words where it does not come up
 */
export async function startTemporalServer(): Promise<TemporalServer> {
  const cli = findTemporalCli(undefined);
  const port = await freePort();
  const address = `127.0.0.1:${port}`;
  const server = spawn(cli, inMemory(temporalArguments({ temporal: port, temporalUi: port }, 'default')), {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exited = once(server, 'exit');
  let words = '';
  server.stderr.on('data', (chunk: Buffer) => {
    words = `${words}${chunk.toString('utf8')}`.slice(-4_000);
  });
  const stop = async (): Promise<void> => {
    server.kill('SIGTERM');
    await exited;
  };
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await answers(address))) {
    if (server.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`the Temporal server did not come up: ${words}`);
    }
    await sleep(50);
  }
  return { address, cli, stop };
}

async function answers(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 1_000 });
    try {
      await connection.workflowService.describeNamespace({ namespace: 'default' });
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}
