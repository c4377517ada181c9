import dns, { type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

/**
 * Whether an address is one of the public internet. Loopback, private (RFC 1918), link-local, carrier-grade NAT,
 * unique local, multicast, reserved and documentation addresses are not, nor is any IPv6 address that carries an
 * IPv4 one (mapped, NAT64, 6to4, Teredo).
 *
 * @param address an IPv4 or IPv6 address; anything else is not public
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 * @example isPublicAddress('169.254.169.254') === false
 */
export function isPublicAddress(address: string): boolean {
  // A zone (`fe80::1%eth0`) belongs to link-local addresses alone.
  if (isIP(address) === 0 || !ipaddr.isValid(address)) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  // Global unicast is 2000::/3 so far; what is given out of the rest, such as 64:ff9b:1::/48, is for special use.
  return parsed.kind() === 'ipv4' || ((parsed.toByteArray()[0] ?? 0) & 0xe0) === 0x20;
}

/** A connection was refused because of the address that a name stands for. */
export class AddressDenied extends Error {
  override readonly name = 'AddressDenied';
}

/** Looks a name up and answers with all of its addresses. */
export type LookUpAll = (
  hostname: string,
  options: dns.LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * A look-up that answers with public addresses only. What it answers is what the socket connects to, so that a
 * name that means another address a moment later (DNS rebinding) changes nothing.
 *
 * @param resolve for tests; by default the system's
 */
export function publicLookup(resolve: LookUpAll = dns.lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '', 0);
      const allowed = found.filter(({ address }) => isPublicAddress(address));
      const [first] = allowed;
      if (first === undefined) return callback(new AddressDenied(), '', 0);
      if (options.all) return callback(null, allowed);
      return callback(null, first.address, first.family);
    });
  };
}
