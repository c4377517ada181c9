import { describe, expect, it } from 'vitest';
import { sinceOf } from '../../client/commands/audit.ts';
import { ownName } from '../../client/person.ts';
import { CONFIG_VARIABLES, configFromEnv } from '../../lib/config.ts';

describe('the settings of approvals', () => {
  it('name a file of approvers, relative to the working directory', () => {
    expect(configFromEnv({}, '/work').approvers).toBeUndefined();
    expect(configFromEnv({ PERENNIAL_APPROVERS: '' }, '/work').approvers).toBeUndefined();
    expect(configFromEnv({ PERENNIAL_APPROVERS: 'a.json' }, '/work').approvers).toBe('/work/a.json');
    for (const name of ['PERENNIAL_APPROVERS', 'PERENNIAL_NOTIFY_URL'])
      expect(Object.keys(CONFIG_VARIABLES)).toContain(name);
  });

  it.each(['https://hook.example.org/x?y=1', 'http://127.0.0.1:9/', 'http://localhost/', 'http://[::1]:9/'])(
    'take the web hook %s',
    (url) => {
      expect(configFromEnv({ PERENNIAL_NOTIFY_URL: url }).notifyUrl).toBe(url);
    },
  );

  it.each([
    'http://hook.example.org/',
    'http://127.0.0.1.example.org/',
    'https://ada:secret@hook.example.org/',
    'ftp://127.0.0.1/',
    'hook',
  ])('refuse the web hook %s', (url) => {
    expect(() => configFromEnv({ PERENNIAL_NOTIFY_URL: url })).toThrow('PERENNIAL_NOTIFY_URL must be');
    expect(() => configFromEnv({ PERENNIAL_NOTIFY_URL: url })).not.toThrow('secret@');
  });
});

describe('who is at the keyboard', () => {
  it('is told by the option, else by a variable, else by the system', () => {
    expect(ownName(' Ada ', { PERENNIAL_USER: 'Grace' })).toBe('Ada');
    expect(ownName(undefined, { PERENNIAL_USER: 'Grace' })).toBe('Grace');
    expect(ownName(undefined, { PERENNIAL_USER: '' })).toBe(ownName(undefined, {}));
    expect(() => ownName('  ', {})).toThrow('--as: the name is empty');
  });
});

describe('the option --since', () => {
  const NOW = Date.UTC(2026, 10, 22);
  it('is a duration or a time', () => {
    expect(sinceOf('7d', NOW)).toBe('2026-11-15T00:00:00.000Z');
    expect(sinceOf('2026-11-01', NOW)).toBe('2026-11-01T00:00:00.000Z');
    expect(() => sinceOf('yesterday', NOW)).toThrow('--since must be a duration');
  });
});
