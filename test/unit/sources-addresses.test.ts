import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressDenied, isPublicAddress, publicLookup } from '../../lib/sources/addresses.ts';
import { HostRules, hostPatterns } from '../../lib/sources/hosts.ts';
import { KeyPattern } from '../../lib/sources/s3/key-pattern.ts';

/** Four bytes of which the first are given. */
const within = (...first: number[]) =>
  fc
    .array(fc.nat(255), { minLength: 4 - first.length, maxLength: 4 - first.length })
    .map((rest) => [...first, ...rest].join('.'));
const group = fc.nat(0xffff).map((n) => n.toString(16));
const groups = (count: number) =>
  fc.array(group, { minLength: count, maxLength: count }).map((list) => list.join(':'));

describe('addresses that are not public', () => {
  it.each<[string, fc.Arbitrary<string>]>([
    ['this network', within(0)],
    [
      'private',
      fc.oneof(
        within(10),
        within(192, 168),
        fc.integer({ min: 16, max: 31 }).chain((b) => within(172, b)),
      ),
    ],
    ['carrier-grade NAT', fc.integer({ min: 64, max: 127 }).chain((b) => within(100, b))],
    ['loopback', within(127)],
    ['link-local', within(169, 254)],
    ['multicast and reserved', fc.integer({ min: 224, max: 255 }).chain((a) => within(a))],
    ['IPv6 loopback and unspecified', fc.constantFrom('::1', '::', '0:0:0:0:0:0:0:1')],
    ['unique local', fc.tuple(fc.constantFrom('fc', 'fd'), groups(7)).map(([a, rest]) => `${a}00:${rest}`)],
    ['IPv6 link-local', groups(4).map((rest) => `fe80::${rest}`)],
    ['IPv6 multicast', groups(7).map((rest) => `ff02:${rest}`)],
    ['IPv4-mapped, whatever it carries', within().map((v4) => `::ffff:${v4}`)],
    ['IPv4-mapped in hexadecimal', groups(2).map((rest) => `::ffff:${rest}`)],
    [
      'NAT64',
      fc.oneof(
        groups(2).map((rest) => `64:ff9b::${rest}`),
        groups(5).map((rest) => `64:ff9b:1:${rest}`),
      ),
    ],
    [
      '6to4 and Teredo',
      fc.oneof(
        groups(7).map((rest) => `2002:${rest}`),
        groups(6).map((rest) => `2001:0:${rest}`),
      ),
    ],
    [
      'documentation',
      fc.oneof(
        within(192, 0, 2),
        within(198, 51, 100),
        within(203, 0, 113),
        groups(6).map((rest) => `2001:db8:${rest}`),
      ),
    ],
    [
      'no address at all',
      fc.constantFrom('', 'example.org', '1.2.3', '08.8.8.8', '0x8.8.8.8', '::g', '1.1.1.1.1'),
    ],
  ])('%s', (_what, address) => {
    fc.assert(fc.property(address, (text) => !isPublicAddress(text)));
  });

  it('are all that others are not', () => {
    for (const address of [
      '1.1.1.1',
      '8.8.8.8',
      '172.15.0.1',
      '172.32.0.1',
      '100.63.0.1',
      '2606:4700::1111',
      '2a00:1450:4001::5',
    ])
      expect(isPublicAddress(address), address).toBe(true);
  });
});

describe('a name', () => {
  const answer = (...addresses: string[]) => {
    const lookup = publicLookup((_name, _options, callback) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      ),
    );
    return new Promise((resolve) => {
      lookup('example.org', { all: true }, (error, found) => resolve(error ?? found));
    });
  };

  it('keeps its public addresses only, and is refused without any', async () => {
    expect(await answer('10.0.0.1', '8.8.8.8', '::1')).toEqual([{ address: '8.8.8.8', family: 4 }]);
    expect(await answer('10.0.0.1', '::ffff:10.0.0.1')).toBeInstanceOf(AddressDenied);
  });
});

describe('hosts', () => {
  const allowed = (patterns: string, hostname: string, port: number): boolean => {
    try {
      new HostRules(hostPatterns(patterns, 'X')).check('here', { hostname, port });
      return true;
    } catch {
      return false;
    }
  };

  it.each<[string, string, number, boolean]>([
    ['', 'example.org', 443, false],
    ['example.org', 'example.org', 443, true],
    ['example.org', 'EXAMPLE.org.', 80, true],
    ['example.org', 'www.example.org', 443, false],
    ['example.org', 'example.org.evil.net', 443, false],
    ['example.org', 'notexample.org', 443, false],
    ['*.example.org', 'www.example.org', 443, true],
    ['*.example.org', 'a.b.example.org', 443, true],
    ['*.example.org', 'example.org', 443, false],
    ['*.example.org', 'evilexample.org', 443, false],
    ['example.org:8443', 'example.org', 443, false],
    ['example.org:8443', 'example.org', 8443, true],
    ['a.net, *.b.net:5432', 'x.b.net', 5432, true],
    ['8.8.8.8', '8.8.8.8', 443, true],
    ['[2606:4700::1111]', '[2606:4700::1111]', 443, true],
    ['127.0.0.1', '127.0.0.1', 80, false],
  ])('%j allows %s:%i: %s', (patterns, hostname, port, expected) => {
    expect(allowed(patterns, hostname, port)).toBe(expected);
  });

  it.each(['*', '*.', 'https://example.org', 'example.org/path', 'a b', 'example.org:0', 'ex*mple.org'])(
    'are not %j',
    (text) =>
      expect(() => hostPatterns(text, 'PERENNIAL_SOURCE_HOSTS')).toThrow(/PERENNIAL_SOURCE_HOSTS holds/),
  );
});

describe('keys', () => {
  it.each<[string, string, boolean]>([
    ['a/*.csv', 'a/b.csv', true],
    ['a/*.csv', 'a/b/c.csv', false],
    ['a/**/*.csv', 'a/c.csv', true],
    ['a/**/*.csv', 'a/b/c/d.csv', true],
    ['**', 'a/b/c', true],
    ['a/?.csv', 'a/bb.csv', false],
    ['a/b*c*d', 'a/bxxcyyd', true],
    ['a/b*c*d', 'a/bxxcyy', false],
    ['a.csv', 'a+csv', false],
  ])('%s matches %s: %s', (pattern, key, expected) => {
    expect(new KeyPattern(pattern).matches(key)).toBe(expected);
  });

  it('take no time without end', () => {
    expect(new KeyPattern(`${'*a'.repeat(200)}b`).matches('a'.repeat(1_000))).toBe(false);
    expect(new KeyPattern(`${'**/'.repeat(60)}x`).matches('a/'.repeat(400))).toBe(false);
  });
});
