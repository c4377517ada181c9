import { PerennialError } from '../../contracts/errors.ts';
import { STANDALONE_PORT } from '../../contracts/standalone.ts';

/** How an exported server listens. */
export interface StandaloneSettings {
  readonly serverId: string;
  readonly host: string;
  readonly port: number;
  readonly token: string | undefined;
  readonly logLevel: string;
}

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/**
 * Reads the environment; empty variables count as absent, as in `docker run -e NAME=`.
 *
 * - `PERENNIAL_SERVER_HOST`: address to listen on, default `127.0.0.1`; any that is not loopback needs a token
 * - `PERENNIAL_SERVER_PORT`: default 8080; 0 is any free one
 * - `PERENNIAL_SECRET_SERVER_TOKEN`: the bearer token of those who predict
 * - `PERENNIAL_SERVER_ID`: the server's name in logs, default `standalone`
 * - `PERENNIAL_LOG_LEVEL`: of pino, default `info`
 *
 * @throws PerennialError `InputInvalid`
 */
export function settingsFromEnv(env: NodeJS.ProcessEnv): StandaloneSettings {
  const value = (name: string): string | undefined => env[name]?.trim() || undefined;
  const host = value('PERENNIAL_SERVER_HOST') ?? '127.0.0.1';
  const token = value('PERENNIAL_SECRET_SERVER_TOKEN');
  if (token === undefined && !isLoopback(host))
    throw new PerennialError(
      'InputInvalid',
      `PERENNIAL_SERVER_HOST is ${host}, where others can reach it: set PERENNIAL_SECRET_SERVER_TOKEN to the token that they must send`,
    );
  const logLevel = value('PERENNIAL_LOG_LEVEL') ?? 'info';
  if (!LOG_LEVELS.includes(logLevel))
    throw new PerennialError(
      'InputInvalid',
      `PERENNIAL_LOG_LEVEL is ${logLevel}; expected one of ${LOG_LEVELS.join(', ')}`,
    );
  return {
    serverId: value('PERENNIAL_SERVER_ID') ?? 'standalone',
    host,
    port: portOf(value('PERENNIAL_SERVER_PORT')),
    token,
    logLevel,
  };
}

function portOf(text: string | undefined): number {
  if (text === undefined) return STANDALONE_PORT;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new PerennialError(
    'InputInvalid',
    `PERENNIAL_SERVER_PORT is ${text}; expected a number up to 65535, or 0 for any free port`,
  );
}

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');
