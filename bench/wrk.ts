import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PEERS_FOLDER } from './peer-environments.ts';

const run = promisify(execFile);
const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

/** What one drive of a server gave. */
export interface Drive {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** What is sent, over and over again. */
export interface Load {
  readonly url: string;
  readonly body: string;
  /** Length of the JSON before binary tensors. */
  readonly headerLength?: number | undefined;
  /** The body goes to the endpoints e1, e2, … in turn, so many of them, whatever the path of `url`. */
  readonly endpoints?: number;
  readonly connections: number;
  readonly seconds: number;
}

/** @throws Error that says how to get it */
export async function requireWrk(): Promise<void> {
  // It answers its version with exit code 1.
  const { code } = await run('wrk', ['--version']).then(
    () => ({ code: 0 }),
    (error: { code?: unknown }) => error,
  );
  if (code === 'ENOENT')
    throw new Error(
      'this benchmark drives the servers with wrk, which is not installed: apt-get install wrk',
    );
}

/**
 * Drives a server with wrk: one thread, as many requests under way as connections.
 *
 * @throws Error where an answer was no success
 */
export async function drive({
  url,
  body,
  headerLength,
  endpoints,
  connections,
  seconds,
}: Load): Promise<Drive> {
  const { stdout } = await run(
    'wrk',
    [
      ...['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '20s', '--latency'],
      '-s',
      endpoints === undefined ? join(PEERS_FOLDER, 'post.lua') : join(import.meta.dirname, 'endpoints.lua'),
      url,
    ],
    {
      env: {
        ...process.env,
        BODY: body,
        ...(endpoints === undefined ? {} : { ENDPOINTS: String(endpoints) }),
        ...(headerLength === undefined ? {} : { HEADER_LENGTH: String(headerLength) }),
      },
    },
  );
  const refused = /(Non-2xx or 3xx responses|Socket errors): (.*)/.exec(stdout);
  if (refused) throw new Error(`${url} did not answer all requests: ${refused[0]}`);
  const percentile = (which: number): number => {
    const [, value, unit = ''] = new RegExp(`${which}%\\s+([\\d.]+)(us|ms|s|m)`).exec(stdout) ?? [];
    return Number(value) * (UNITS[unit] ?? Number.NaN);
  };
  return {
    requests: Number(/(\d+) requests in/.exec(stdout)?.[1]),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
    p50: percentile(50),
    p99: percentile(99),
  };
}
