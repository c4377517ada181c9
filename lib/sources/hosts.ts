import { isIP } from 'node:net';
import { PerennialError } from '../../contracts/errors.ts';
import { isPublicAddress, publicLookup } from './addresses.ts';

const PATTERN = /^(\*\.)?([a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(:([1-9]\d{0,4}))?$/;

/**
 * Host patterns of a configuration variable: `example.org`, `*.example.org` (any name below it), each with an
 * optional port; without one, every port.
 *
 * @param what the variable, for the message
 * @throws PerennialError `InputInvalid`
 */
export function hostPatterns(text: string, what: string): string[] {
  const patterns = text
    .split(',')
    .map((part) => part.trim().toLowerCase())
    .filter(Boolean);
  const wrong = patterns.find((pattern) => !PATTERN.test(pattern));
  if (wrong !== undefined)
    throw new PerennialError(
      'InputInvalid',
      `${what} holds "${wrong}"; expected host names such as example.org, *.example.org or example.org:8443, separated by commas`,
    );
  return patterns;
}

/** A place on the network: host name or address, and port. */
export interface HostPort {
  hostname: string;
  port: number;
}

/** The place that an address names, with the protocol's own port where it names none. */
export const hostPortOf = (url: URL): HostPort => ({
  hostname: url.hostname,
  port: Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
});

/** What a worker lets sources connect to. */
export class HostRules {
  constructor(
    private readonly hosts: readonly string[] = [],
    private readonly privateHosts: readonly string[] = [],
    /** The variable that names the hosts, for messages. */
    private readonly variable = 'PERENNIAL_SOURCE_HOSTS',
  ) {}

  /**
   * Refuses a host that the worker does not name, and a private address that it does not name as such.
   *
   * @param where for the message
   * @throws PerennialError `SourceDenied`
   */
  check(where: string, place: HostPort): void {
    if (!this.hosts.some((pattern) => matches(pattern, place)))
      throw new PerennialError(
        'SourceDenied',
        `${where}: this worker does not allow the host ${shown(place)}; name it in ${this.variable} on the worker, or take another one`,
      );
    const address = bare(place.hostname);
    if (isIP(address) > 0 && !isPublicAddress(address) && !this.allowsPrivate(place))
      throw privateAddress(where, place);
  }

  allowsPrivate(place: HostPort): boolean {
    return this.privateHosts.some((pattern) => matches(pattern, place));
  }

  /** Options of a socket to this place: its name is looked up so that only allowed addresses come of it. */
  lookupFor(place: HostPort): { lookup?: ReturnType<typeof publicLookup> } {
    return this.allowsPrivate(place) ? {} : { lookup: publicLookup() };
  }

  /** Whether a peer that was connected to is one that this place may have. */
  allowsPeer(place: HostPort, address: string | undefined): boolean {
    return address !== undefined && (this.allowsPrivate(place) || isPublicAddress(address));
  }
}

/** The error for a host whose address is not public. */
export const privateAddress = (where: string, place: HostPort): PerennialError =>
  new PerennialError(
    'SourceDenied',
    `${where}: ${shown(place)} has a loopback, private or link-local address; where that is meant, name it in PERENNIAL_SOURCE_PRIVATE_HOSTS on the worker too`,
  );

const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '');
const shown = ({ hostname, port }: HostPort): string => `${hostname}:${port}`;

function matches(pattern: string, { hostname, port }: HostPort): boolean {
  const [, wildcard, host = '', , , onlyPort] = PATTERN.exec(pattern) ?? [];
  if (onlyPort !== undefined && Number(onlyPort) !== port) return false;
  const name = bare(hostname.toLowerCase()).replace(/\.$/, '');
  return wildcard ? name.endsWith(`.${host}`) : name === bare(host);
}
