import { existsSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ownScript } from '../../lib/processes/own-script.ts';
import { TRAINER_NAMES, trainerCommand } from '../../trainers/catalog.ts';

describe('the shipped trainers', () => {
  it.each(TRAINER_NAMES)('%s is a script that exists', (name) => {
    const { program, args } = trainerCommand(name, { python: '/opt/python' });
    const inTypeScript = name === 'mlp' || name === 'tfjs_linear';
    expect(program).toBe(inTypeScript ? process.execPath : '/opt/python');
    const script = args.at(-1) ?? '';
    expect(isAbsolute(script)).toBe(true);
    expect(existsSync(script)).toBe(true);
  });
});

describe('scripts of our own', () => {
  it('need a loader in the source', () => {
    const { path, execArgv } = ownScript('file:///home/x%20y/lib/a.ts', './child.ts');
    expect(path).toBe('/home/x y/lib/child.ts');
    expect(execArgv[0]).toBe('--import');
    expect(execArgv[1]).toMatch(/^file:.*tsx/);
  });

  it('need none in the build', () => {
    expect(ownScript('file:///app/dist/lib/a.js', '../trainers/mlp.ts')).toEqual({
      path: '/app/dist/trainers/mlp.js',
      execArgv: [],
    });
  });
});
