import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { duration, durationMs } from '../contracts/durations.ts';
import { PerennialError } from '../contracts/errors.ts';
import { type RequestRate, requestRate, SERVER_KEYS_FILE } from '../contracts/server-keys.ts';
import { sizeBytes } from '../contracts/sizes.ts';
import type { PerennialConfig } from '../lib/config.ts';
import type { CloseOptions } from '../serving/close-options.ts';
import type { ServingOptions } from '../serving/process/supervisor.ts';
import { tokenDigest } from '../serving/security/caller.ts';
import { type JwtSettings, jwtSettings } from '../serving/security/jwt-settings.ts';
import type { TlsSettings } from '../serving/security/tls.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What environment variables say about a model server; docs/serving-operations.md has them all. An empty variable is
 * one that is not set.
 *
 * @throws PerennialError `InputInvalid` that names the variable
 */
export function servingFromEnv(
  env: Environment,
  config: PerennialConfig,
  cwd = process.cwd(),
): Omit<ServingOptions, 'serverId' | 'routesFile' | 'logger' | 'events'> {
  const token = env.PERENNIAL_SECRET_SERVER_TOKEN;
  const keysFile = env.PERENNIAL_SERVER_KEYS;
  const hangMs = milliseconds(env, 'PERENNIAL_SERVER_HANG_TIMEOUT');
  const { dataDir, artifactStore, artifactCache, keyring, encryptAll, featureStore } = config;
  return {
    store: { dataDir, artifactStore, artifactCache, keyring, encryptAll, featureStore },
    logLevel: env.PERENNIAL_LOG_LEVEL || undefined,
    predictions: {
      syncMs: config.predictions?.syncMs,
      spoolBytes: config.predictions?.spoolBytes,
      replay: config.predictions?.replay,
    },
    processes: processesOf(env.PERENNIAL_SERVER_PROCESSES),
    host: env.PERENNIAL_SERVER_HOST || undefined,
    port: whole(env, 'PERENNIAL_SERVER_PORT', 0, 65_535),
    access: {
      keysFile: keysFile ? resolve(cwd, keysFile) : join(dataDir, SERVER_KEYS_FILE),
      keysRequired: Boolean(keysFile),
      tokenSha256: token ? tokenDigest(token).toString('hex') : undefined,
      jwt: jwtOf(env, cwd),
      rate: rateOf(env.PERENNIAL_SERVER_RATE),
    },
    tls: tlsOf(env, cwd),
    allowAnonymous: flag(env, 'PERENNIAL_SERVER_ALLOW_ANONYMOUS'),
    requests: definedOf({
      bodyBytes: bytes(env, 'PERENNIAL_SERVER_MAX_BODY'),
      allBodyBytes: bytes(env, 'PERENNIAL_SERVER_MAX_BODIES'),
      headersMs: milliseconds(env, 'PERENNIAL_SERVER_HEADERS_TIMEOUT'),
      bodyMs: milliseconds(env, 'PERENNIAL_SERVER_BODY_TIMEOUT'),
      connections: whole(env, 'PERENNIAL_SERVER_MAX_CONNECTIONS', 1, 1_000_000),
      answerMs: milliseconds(env, 'PERENNIAL_SERVER_ANSWER_TIMEOUT'),
      underWay: whole(env, 'PERENNIAL_SERVER_MAX_REQUESTS', 1, 1_000_000),
    }),
    threads: whole(env, 'PERENNIAL_SERVER_THREADS', 1, 1_024),
    maxRows: whole(env, 'PERENNIAL_SERVER_MAX_ROWS', 1, 1_000_000_000),
    batching: definedOf({
      maxWaitMs: waitOf(env),
      maxRequests: whole(env, 'PERENNIAL_SERVER_MAX_QUEUE', 1, 1_000_000),
      maxRows: whole(env, 'PERENNIAL_SERVER_MAX_QUEUE_ROWS', 1, 1_000_000_000),
    }),
    supervision: definedOf({ hangMs }),
  };
}

/** How long the server waits and answers when it is told to end. */
export function drainFromEnv(env: Environment): CloseOptions {
  return {
    delayMs: milliseconds(env, 'PERENNIAL_SERVER_DRAIN_DELAY'),
    graceMs: milliseconds(env, 'PERENNIAL_SERVER_DRAIN_GRACE'),
  };
}

const refused = (variable: string, expected: string): PerennialError =>
  new PerennialError('InputInvalid', `${variable} cannot be read; expected ${expected}`);

function processesOf(text: string | undefined): number {
  if (!text || text === 'cores') return availableParallelism();
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 256) return count;
  throw refused('PERENNIAL_SERVER_PROCESSES', 'a number of processes from 1 to 256, or cores');
}

function whole(env: Environment, variable: string, least: number, most: number): number | undefined {
  const text = env[variable];
  if (!text) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw refused(variable, `a whole number from ${least} to ${most}`);
}

function milliseconds(env: Environment, variable: string): number | undefined {
  const text = env[variable];
  if (!text) return undefined;
  // A delay of nothing is a delay that one can ask for.
  if (/^0(ms|s|m|h)?$/.test(text)) return 0;
  if (duration.safeParse(text).success) return durationMs(text);
  throw refused(variable, 'a duration such as 500ms, 10s or 2m');
}

/** For company in a run; longer ones would only be a delay. */
function waitOf(env: Environment): number | undefined {
  const variable = 'PERENNIAL_SERVER_BATCH_WAIT';
  const value = milliseconds(env, variable);
  if (value === undefined || value <= 1_000) return value;
  throw refused(variable, 'a duration of a second at most, such as 2ms, or 0');
}

function bytes(env: Environment, variable: string): number | undefined {
  const text = env[variable];
  if (!text) return undefined;
  const value = sizeBytes(text);
  if (value !== undefined) return value;
  throw refused(variable, 'a size such as 10MB');
}

function flag(env: Environment, variable: string): boolean {
  const text = env[variable] || 'false';
  if (text === 'true' || text === 'false') return text === 'true';
  throw refused(variable, 'true or false');
}

/** `50` or `50/100`: requests a second, and how many of them at once; by default those of one second. */
function rateOf(text: string | undefined): RequestRate | undefined {
  if (!text) return undefined;
  const [perSecond, burst = Math.max(1, Math.ceil(Number(perSecond))), ...rest] = text.split('/');
  const rate = requestRate.safeParse({ perSecond: Number(perSecond), burst: Number(burst) });
  if (rate.success && rest.length === 0) return rate.data;
  throw refused('PERENNIAL_SERVER_RATE', 'requests a second, and perhaps how many at once, such as 50/100');
}

function tlsOf(env: Environment, cwd: string): TlsSettings | undefined {
  const {
    PERENNIAL_SERVER_TLS_CERT: cert,
    PERENNIAL_SERVER_TLS_KEY: key,
    PERENNIAL_SERVER_TLS_CLIENT_CA: clientCa,
  } = env;
  if (!cert && !key && !clientCa) return undefined;
  if (!cert || !key)
    throw new PerennialError(
      'InputInvalid',
      'TLS needs both PERENNIAL_SERVER_TLS_CERT and PERENNIAL_SERVER_TLS_KEY',
    );
  return {
    cert: resolve(cwd, cert),
    key: resolve(cwd, key),
    ...(clientCa ? { clientCa: resolve(cwd, clientCa) } : {}),
  };
}

function jwtOf(env: Environment, cwd: string): JwtSettings | undefined {
  const keys = env.PERENNIAL_SERVER_JWT_KEYS;
  if (!keys) return undefined;
  const clockToleranceMs = milliseconds(env, 'PERENNIAL_SERVER_JWT_CLOCK_TOLERANCE');
  const found = jwtSettings.safeParse({
    keys: /^https?:/.test(keys) ? keys : resolve(cwd, keys),
    issuer: env.PERENNIAL_SERVER_JWT_ISSUER,
    audience: env.PERENNIAL_SERVER_JWT_AUDIENCE,
    algorithms: env.PERENNIAL_SERVER_JWT_ALGORITHMS?.split(',').map((name) => name.trim()),
    rolesClaim: env.PERENNIAL_SERVER_JWT_ROLES_CLAIM || undefined,
    clockToleranceSeconds: clockToleranceMs === undefined ? undefined : clockToleranceMs / 1_000,
  });
  if (found.success) return found.data;
  const [issue] = found.error.issues;
  throw new PerennialError(
    'InputInvalid',
    `PERENNIAL_SERVER_JWT_…: ${z.string().parse(String(issue?.path[0] ?? ''))}: ${issue?.message ?? 'wrong'}; JSON Web Tokens need PERENNIAL_SERVER_JWT_ISSUER and PERENNIAL_SERVER_JWT_AUDIENCE beside their keys`,
  );
}

/** Without the settings that nobody gave. */
function definedOf<T extends Record<string, number | undefined>>(
  settings: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const given: { [K in keyof T]?: Exclude<T[K], undefined> } = {};
  for (const name in settings) {
    const value = settings[name];
    if (value !== undefined) Object.assign(given, { [name]: value });
  }
  return given;
}
