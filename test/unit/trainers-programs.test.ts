import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resourceTaskQueue } from '../../contracts/names.ts';
import { CONFIG_VARIABLES, configFromEnv } from '../../lib/config.ts';
import { programCommand, readPrograms } from '../../lib/processes/programs.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perennial-programs-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Writes `programs.json` and gives its path. */
function written(content: unknown): string {
  const path = join(folder, 'programs.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('PERENNIAL_PROGRAMS', () => {
  it('is no program by default', () => {
    expect(configFromEnv({}).programs).toBeUndefined();
    expect(Object.keys(CONFIG_VARIABLES)).toContain('PERENNIAL_PROGRAMS');
  });

  it('names a file relative to the working directory', () => {
    written({ forest: { command: ['/usr/bin/Rscript', './train.R', '--vanilla'] } });
    const { programs } = configFromEnv({ PERENNIAL_PROGRAMS: 'programs.json' }, folder);
    expect(programs).toEqual({
      forest: { command: ['/usr/bin/Rscript', join(folder, 'train.R'), '--vanilla'], env: {} },
    });
  });

  it.each([
    ['./bin/train', '<folder>/bin/train'],
    ['../train', '<parent>/train'],
    ['/opt/train', '/opt/train'],
    ['Rscript', 'Rscript'],
  ])('starts %s as %s', (executable, expected) => {
    const programs = readPrograms(written({ own: { command: [executable, '', 'a b', '$HOME'] } }));
    expect(programs.own?.command).toEqual([
      expected.replace('<folder>', folder).replace('<parent>', join(folder, '..')),
      '',
      'a b',
      '$HOME',
    ]);
  });

  it.each([
    ['{', /programs\.json is not JSON/],
    [[], /expected record/],
    [{ own: { comand: ['x'] } }, /own\.comand: is not a known key/],
    [{ own: { command: 'Rscript train.R' } }, /own\.command: expected .*, found/],
    [{ own: { command: [] } }, /own\.command/],
    [{ own: { command: [''] } }, /own\.command\[0\]/],
    [{ own: { command: ['x', 1] } }, /own\.command\[1\]/],
    [{ own: { command: ['x\0y'] } }, /NUL/],
    [{ 'a b': { command: ['x'] } }, /a b/],
    [{ own: { command: ['x'], env: { 'A=B': '1' } } }, /own\.env/],
    [{ own: { command: ['bin/train'] } }, /own: write \.\/bin\/train/],
  ])('refuses %j', (content, words) => {
    const path = written(content);
    const read = () => readPrograms(path);
    expect(read).toThrow(words);
    expect(read).toThrow(/^PERENNIAL_PROGRAMS: /);
  });

  it('refuses a file that is not there', () =>
    expect(() => configFromEnv({ PERENNIAL_PROGRAMS: 'none.json' }, folder)).toThrow(
      `PERENNIAL_PROGRAMS: ${join(folder, 'none.json')} cannot be read (ENOENT)`,
    ));

  it('tells of an argument that would not be found from the scratch folder', () => {
    writeFileSync(join(folder, 'train.R'), '');
    expect(() => readPrograms(written({ own: { command: ['Rscript', 'train.R'] } }))).toThrow(
      /"train\.R" is a file beside this one.*write \.\/train\.R/,
    );
  });
});

describe('the program of a candidate', () => {
  const programs = {
    forest: {
      command: ['/opt/forest', 'go'] as [string, ...string[]],
      env: { KEY: 'a ${env:PERENNIAL_SECRET_KEY}' },
    },
    lasso: { command: ['/opt/lasso'] as [string], env: {} },
  };

  it('is started as the worker says, with secrets resolved', () =>
    expect(programCommand({ programs }, { program: 'forest' }, { PERENNIAL_SECRET_KEY: 'b' })).toEqual({
      program: '/opt/forest',
      args: ['go'],
      env: { KEY: 'a b' },
    }));

  it('cannot be started without its secret', () =>
    expect(() => programCommand({ programs }, { program: 'forest' }, {})).toThrow(
      /PERENNIAL_SECRET_KEY is not set/,
    ));

  it('must be allowed', () => {
    const of = (program: string) => () => programCommand({ programs }, { program });
    expect(of('forst')).toThrow(
      'This worker may not start the program "forst"; it may start forest, lasso. Did you mean "forest"? Correct',
    );
    expect(of('/bin/sh')).toThrow(expect.objectContaining({ code: 'SourceDenied', retryable: false }));
    expect(of('toString')).toThrow(/may not start/);
    expect(() => programCommand({}, { program: 'x' })).toThrow(/it may start none\. Correct/);
  });
});

describe('PERENNIAL_RESOURCES', () => {
  const resources = (text?: string) => configFromEnv({ PERENNIAL_RESOURCES: text }).resources;

  it('are class names, each once, without the one of the worker itself', () => {
    expect(resources()).toEqual([]);
    expect(resources(' gpu, cpu,big-memory,gpu ')).toEqual(['gpu', 'big-memory']);
    expect(Object.keys(CONFIG_VARIABLES)).toContain('PERENNIAL_RESOURCES');
  });

  it.each(['GPU', 'g p u', 'a/b'])('not %j', (text) =>
    expect(() => resources(text)).toThrow(/PERENNIAL_RESOURCES holds .*separated by commas/),
  );

  it('have queues of their own', () => {
    expect(resourceTaskQueue('ml', 'gpu')).toBe('ml-gpu');
    expect(resourceTaskQueue('ml', 'cpu')).toBe('ml');
  });
});
