import { PerennialError } from '../../../contracts/errors.ts';
import type { PostgresSource } from '../../../contracts/spec/sources.ts';
import type { Secrets } from '../../secrets.ts';
import type { HostPort, HostRules } from '../hosts.ts';

const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof SSL_MODES)[number];

/** Where and how to connect. */
export interface PostgresAddress {
  place: HostPort;
  database: string;
  user: string;
  password: string;
  sslMode: SslMode;
}

/**
 * The parts of a PostgreSQL address. Parameters that would make the worker read its own files or use other sockets are
 * refused. Without `sslmode`, the certificate is verified; only hosts that the worker names as private are spoken to
 * in the clear.
 *
 * @throws PerennialError `SourceUnreadable`, `SourceDenied`, `SecretMissing`
 */
export function postgresAddress(
  where: string,
  { postgres }: { postgres: Pick<PostgresSource['postgres'], 'url' | 'password'> },
  { hosts, secrets }: { hosts: HostRules; secrets: Secrets },
): PostgresAddress {
  const text = secrets.resolve(postgres.url);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '')
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: url is no PostgreSQL address; expected postgres://user@host:5432/database`,
    );
  // The driver would take the worker's own PGUSER.
  if (url.username === '')
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: url names no user; expected postgres://user@host:5432/database`,
    );
  const place = { hostname: decodeURIComponent(url.hostname), port: Number(url.port) || 5432 };
  hosts.check(where, place);
  const unknown = [...url.searchParams.keys()].find((key) => !['sslmode', 'password'].includes(key));
  if (unknown !== undefined)
    throw new PerennialError(
      'SourceDenied',
      `${where}: url has the parameter ${unknown.slice(0, 40)}; only sslmode is taken`,
    );
  const password = postgres.password
    ? secrets.resolve(postgres.password)
    : decodeURIComponent(url.password || (url.searchParams.get('password') ?? ''));
  secrets.conceal(password);
  return {
    place,
    database: decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username),
    user: decodeURIComponent(url.username),
    password,
    sslMode: sslModeOf(where, url.searchParams.get('sslmode'), hosts.allowsPrivate(place)),
  };
}

function sslModeOf(where: string, text: string | null, isPrivate: boolean): SslMode {
  if (text === null) return isPrivate ? 'disable' : 'verify-full';
  const mode = SSL_MODES.find((known) => known === text);
  if (!mode)
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: sslmode is none of ${SSL_MODES.join(', ')}; others may fall back to no encryption`,
    );
  return mode;
}
