import { Socket } from 'node:net';
import type pg from 'pg';
import { PerennialError } from '../../../contracts/errors.ts';
import { AddressDenied } from '../addresses.ts';
import { type HostPort, type HostRules, privateAddress } from '../hosts.ts';
import { causeOf, certificateRefused, networkWords, unavailable } from '../source-errors.ts';
import type { PostgresAddress } from './address.ts';

/** A socket that looks names up as the rules say, and leaves a peer that they forbid. */
class GuardedSocket extends Socket {
  constructor(
    private readonly place: HostPort,
    private readonly hosts: HostRules,
  ) {
    super();
    this.once('connect', () => {
      if (!hosts.allowsPeer(place, this.remoteAddress)) this.destroy(new AddressDenied());
    });
  }

  /** The driver calls it with port and host. */
  override connect(..._portAndHost: unknown[]): this {
    const { hostname, port } = this.place;
    return super.connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port,
      ...this.hosts.lookupFor(this.place),
    });
  }
}

/** Opens a connection. */
export async function connect(
  where: string,
  address: PostgresAddress,
  hosts: HostRules,
  connectMs: number,
): Promise<pg.Client> {
  const { default: driver } = await import('pg');
  const { place, database, user, password, sslMode } = address;
  const client = new driver.Client({
    host: place.hostname.replace(/^\[|\]$/g, ''),
    port: place.port,
    database,
    user,
    // An empty text would have the driver look into PGPASSWORD and ~/.pgpass of the worker.
    password: () => password,
    ssl:
      sslMode === 'disable'
        ? false
        : {
            rejectUnauthorized: sslMode !== 'require',
            ...(sslMode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
          },
    application_name: 'perennial',
    connectionTimeoutMillis: connectMs,
    keepAlive: true,
    stream: () => new GuardedSocket(place, hosts),
  });
  // A connection that breaks while nothing is asked: the next query says so.
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => {
    throw postgresError(where, place, error);
  });
  return client;
}

/** Errors that speak of the statement or of names, never of rows. */
const ABOUT_THE_QUERY = /^(42|3D|3F|26|0A|25)/;

/**
 * An error of the driver or the server in plain words. What the server says of values stays out: it may be personal.
 */
export function postgresError(where: string, place: HostPort, error: unknown): unknown {
  if (error instanceof PerennialError || !(error instanceof Error)) return error;
  if (causeOf(error, AddressDenied)) return privateAddress(where, place);
  const refused = certificateRefused(where, place.hostname, error);
  if (refused) return refused;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (/^(28|42501$)/.test(code))
    return new PerennialError(
      'SourceDenied',
      `${where}: the server refuses the user (${code}); look at user, password, and what the role may read`,
    );
  if (code === '3D000' || code === '42P01')
    return new PerennialError('SourceNotFound', `${where}: ${error.message}`);
  if (code === '57014')
    return new PerennialError(
      'SourceUnreadable',
      `${where}: the query took longer than its timeout; raise postgres.timeout, or make the query faster`,
    );
  if (/^(08|53|57|40)/.test(code)) return unavailable(where, `the server answers ${code}`);
  if (ABOUT_THE_QUERY.test(code))
    return new PerennialError('SourceUnreadable', `${where}: ${error.message.slice(0, 400)} (${code})`);
  if (/^[0-9A-Z]{5}$/.test(code))
    return new PerennialError('SourceUnreadable', `${where}: the server refuses the query (${code})`);
  if (/client password must be/i.test(error.message))
    return new PerennialError(
      'SourceDenied',
      `${where}: the server asks for a password; name it by password`,
    );
  if (/does not support SSL/i.test(error.message))
    return new PerennialError(
      'SourceDenied',
      `${where}: the server has no TLS; sslmode=disable in url allows that, and anybody may read along`,
    );
  const words = /timeout/i.test(error.message)
    ? 'the connection takes too long'
    : /Connection terminated/i.test(error.message)
      ? 'the connection broke off'
      : networkWords(error);
  return words === undefined ? error : unavailable(where, words);
}
