import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Who may import whom; docs/architecture.md draws it. `trainers` is a program behind a contract and a catalog of names. */
const ALLOWED: Record<string, readonly string[]> = {
  contracts: [],
  domain: ['contracts'],
  workflows: ['contracts', 'domain'],
  lib: ['contracts', 'domain', 'packages'],
  trainers: ['contracts', 'domain', 'lib'],
  activities: ['contracts', 'domain', 'lib', 'packages', 'trainers'],
  serving: ['contracts', 'domain', 'lib', 'packages'],
  workers: ['activities', 'serving', 'lib', 'contracts'],
  client: ['contracts', 'packages'],
  packages: [],
};

/** Outside packages that a folder may import; folders that are not named may import any. */
const OUTSIDE: Record<string, RegExp> = {
  contracts: /^zod$/,
  domain: /^$/,
  workflows: /^(@temporalio\/(workflow|common)|zod)$/,
};

const sources = (folder: string): string[] =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/(^|\/)(node_modules|dist|test)\//.test(file))
    .map((file) => join(folder, file));

const importsOf = (file: string): string[] =>
  [
    ...readFileSync(join(root, file), 'utf8').matchAll(
      /^(?:import|export)\s[^;]*?from\s+'([^']+)'|\bimport\('([^']+)'\)/gm,
    ),
  ].map((match) => match[1] ?? match[2] ?? '');

describe.each(Object.keys(ALLOWED))('%s', (folder) => {
  const files = sources(folder);

  it('holds something', () => expect(files.length).toBeGreaterThan(0));

  it('imports only what lies below it', () => {
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((name) => name.startsWith('.'))
        .map((name) => relative(root, resolve(root, dirname(file), name)))
        .filter((target) => {
          const [room = ''] = target.split('/');
          return room !== folder && !ALLOWED[folder]?.includes(room);
        })
        .map((target) => `${file} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('imports no package that it must not know', () => {
    const allowed = OUTSIDE[folder];
    const wrong = files.flatMap((file) =>
      importsOf(file)
        .filter((name) => !name.startsWith('.') && allowed !== undefined && !allowed.test(name))
        .map((name) => `${file} imports ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('files', () => {
  it('stay below 350 lines', () => {
    const long = Object.keys(ALLOWED)
      .flatMap(sources)
      .filter(
        (file) =>
          !file.endsWith('onnx_pb.ts') && readFileSync(join(root, file), 'utf8').split('\n').length > 351,
      );
    expect(long).toEqual([]);
  });
});
