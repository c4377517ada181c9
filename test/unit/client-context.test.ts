import { describe, expect, it } from 'vitest';
import { runLink, temporalOf } from '../../client/context.ts';

const PLATFORM = { temporalAddress: '127.0.0.1:4100', namespace: 'team' };

describe('where Temporal is', () => {
  it.each([
    ['the platform', PLATFORM, {}, { address: '127.0.0.1:4100', namespace: 'team' }],
    [
      'the environment before it',
      PLATFORM,
      { namespace: 'ml' },
      { address: '127.0.0.1:4100', namespace: 'ml' },
    ],
    ['a profile alone', undefined, { address: 'a:1', namespace: 'ml' }, { address: 'a:1', namespace: 'ml' }],
    ['nothing known', undefined, {}, { address: 'localhost:7233', namespace: 'default' }],
    [
      'empty variables',
      PLATFORM,
      { address: '', namespace: '' },
      { address: '127.0.0.1:4100', namespace: 'team' },
    ],
  ])('%s', (_name, platform, configured, expected) => {
    expect(temporalOf(platform, configured)).toEqual(expected);
  });
});

describe('the link of a run', () => {
  it('names the namespace', () => {
    expect(runLink({ temporalUi: 'http://ui', namespace: 'team' }, 'a/b')).toBe(
      'http://ui/namespaces/team/workflows/a%2Fb',
    );
  });

  it('is not there without a UI', () => {
    expect(runLink({ temporalUi: undefined, namespace: 'team' }, 'a')).toBeUndefined();
  });
});
