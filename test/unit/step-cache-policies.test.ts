import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { artifactDigests, artifactRefs } from '../../contracts/artifact-digests.ts';
import { cacheInput, cachePolicy, removeCachedInput } from '../../contracts/cache.ts';
import { canonicalJson } from '../../domain/canonical-json.ts';
import { isFresh, isKept, isMeant } from '../../domain/step-cache.ts';
import { cacheKey } from '../../lib/cache/cache-key.ts';
import { artifact as ref } from '../support/samples.ts';

const HOUR = 3_600_000;
const storedAt = new Date(0).toISOString();

describe('a stored result', () => {
  it('is taken while it is fresh, by policy', () => {
    const asOf = 2 * HOUR;
    expect(isFresh({ storedAt }, cachePolicy.parse(undefined), asOf)).toBe(true);
    expect(isFresh({ storedAt }, cachePolicy.parse({ ttl: '2h' }), asOf)).toBe(true);
    expect(isFresh({ storedAt }, cachePolicy.parse({ ttl: '1h' }), asOf)).toBe(false);
    expect(isFresh({ storedAt }, cachePolicy.parse({ mode: 'refresh' }), asOf)).toBe(false);
    expect(isFresh({ storedAt }, cachePolicy.parse({ mode: 'off' }), asOf)).toBe(false);
  });

  it('is kept from when it was last used', () => {
    expect(isKept({ storedAt, lastHitAt: null }, HOUR, HOUR)).toBe(true);
    expect(isKept({ storedAt, lastHitAt: null }, HOUR, HOUR + 1)).toBe(false);
    expect(isKept({ storedAt, lastHitAt: new Date(HOUR).toISOString() }, HOUR, 2 * HOUR)).toBe(true);
  });

  it('is meant by all parts of a filter', () => {
    const entry = { stage: 'split', pipeline: 'bank', key: 'abcdef'.repeat(10) };
    expect(isMeant(entry, {})).toBe(true);
    expect(isMeant(entry, { stage: 'split', pipeline: 'bank', key: 'abcdefab' })).toBe(true);
    for (const other of [{ stage: 'ingest' }, { pipeline: 'x' }, { key: 'bbbbbbbb' }])
      expect(isMeant(entry, { stage: 'split', ...other })).toBe(false);
  });
});

describe('what is asked of the cache', () => {
  it.each([{}, { all: true, stage: 'split' }, { key: 'abc' }, { stage: '../runs' }, { stage: '' }])(
    'not to remove %j',
    (input) => expect(removeCachedInput.safeParse(input).success).toBe(false),
  );
  it.each([{ all: true }, { stage: 'split', pipeline: 'bank' }, { key: 'abcdef01' }])(
    'to remove %j',
    (input) => expect(removeCachedInput.safeParse(input).success).toBe(true),
  );
  it('has defaults', () => {
    expect(cacheInput.parse({ action: 'list' })).toEqual({ action: 'list', limit: 100 });
    expect(cacheInput.parse({ action: 'collect' })).toEqual({ action: 'collect', keep: '30d' });
    expect(cacheInput.safeParse({ action: 'list', limit: 501 }).success).toBe(false);
  });
});

describe('canonical JSON', () => {
  it('is JSON, and the same whatever the order of keys', () =>
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(reversed(value))).toBe(text);
      }),
    ));

  it('leaves out what is undefined and names artifacts by their digest', () => {
    const one = ref('a');
    expect(canonicalJson({ b: undefined, a: [one] })).toBe(`{"a":[{"cas":"${one.sha256}"}]}`);
    // What only looks like one counts whole.
    expect(canonicalJson({ uri: 'x', sha256: 'y' })).toBe('{"sha256":"y","uri":"x"}');
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, 1n, () => 1])('refuses %s', (value) =>
    expect(() => canonicalJson([value])).toThrow(TypeError),
  );
});

describe('the key of a stage', () => {
  const identity = { stage: 'split', codeVersion: 1, input: { table: ref('a'), share: 0.2 } };

  it('changes with everything that the result depends on', async () => {
    const keys = await Promise.all(
      [
        identity,
        { ...identity, stage: 'ingest' },
        { ...identity, codeVersion: 2 },
        { ...identity, input: { ...identity.input, table: ref('b') } },
        { ...identity, input: { ...identity.input, share: 0.3 } },
        { ...identity, extra: ['m1'] },
        { ...identity, extra: ['m1', 'm2'] },
      ].map(cacheKey),
    );
    expect(new Set(keys).size).toBe(keys.length);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{64}$/);
  });

  it('does not change with the order of things', async () => {
    const { table, share } = identity.input;
    expect(await cacheKey({ ...identity, extra: ['b', 'a'], input: { share, table } })).toBe(
      await cacheKey({ ...identity, extra: ['a', 'b'] }),
    );
  });
});

it('finds artifact references however deep, each once', () => {
  const [a, b] = [ref('a'), ref('b')];
  const value = { x: [{ table: a }, { again: a }], y: { deep: { er: b } }, z: { uri: 'no', sha256: 'ref' } };
  expect(artifactRefs(value).map(({ sha256 }) => sha256)).toEqual([a.sha256, b.sha256].sort());
  expect(artifactDigests(value)).toEqual([a.sha256, b.sha256, 'ref'].sort());
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, inner]) => [name, reversed(inner)]),
  );
}
