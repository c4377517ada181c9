import { describe, expect, it } from 'vitest';
import { withPins } from '../../client/pins.ts';
import { source } from '../../contracts/spec/sources.ts';

const DIGEST = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const spec = {
  name: 'p',
  data: { sources: { flights: 'flights.csv', web: 'https://example.org/a.csv', log: { events: 'calls' } } },
};

describe('pins', () => {
  it.each([
    ['flights', { path: 'flights.csv' }],
    ['web', { url: 'https://example.org/a.csv' }],
    ['log', { events: 'calls' }],
  ])('of %s become part of the spec', (name, rest) => {
    const pinned = withPins(spec, [`${name}=${DIGEST}`]);
    const sources: Record<string, unknown> = { ...Object(Object(pinned.data).sources) };
    expect(sources[name]).toMatchObject({ ...rest, pin: DIGEST });
    expect(source.parse(sources[name])).toMatchObject({ ...rest, pin: DIGEST });
    expect(pinned.name).toBe('p');
  });

  it('none leave it as it is', () => expect(withPins(spec, [])).toBe(spec));

  it.each([
    [`flight=${DIGEST}`, /no source flight; did you mean flights\?/],
    ['flights', /write SOURCE=SHA256/],
    ['flights=abc', /write SOURCE=SHA256/],
    [`=${DIGEST}`, /write SOURCE=SHA256/],
  ])('%s is refused', (pin, words) => {
    expect(() => withPins(spec, [pin])).toThrow(words);
  });
});
