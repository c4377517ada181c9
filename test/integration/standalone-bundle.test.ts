import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bundleStandalone } from '../../scripts/bundle-standalone.ts';
import { lockOf } from '../../scripts/standalone/lock.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-bundle-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** All text of a bundle's programs. */
async function code(bundle: string): Promise<string> {
  const names = (await readdir(bundle)).filter((name) => name.endsWith('.js'));
  return (await Promise.all(names.map((name) => readFile(join(bundle, name), 'utf8')))).join('\n');
}

describe('the bundle of the standalone server', () => {
  it('imports nothing but Node and ONNX Runtime', async () => {
    const bundle = join(folder, 'server');
    await bundleStandalone(bundle);
    const imports = [...(await code(bundle)).matchAll(/(?:^|;)import\b[^;"']*["']([^"'\n]+)["']/gm)].map(
      (match) => match[1] ?? '',
    );
    expect(imports).toContain('onnxruntime-node');
    const outside = imports.filter(
      (name) => !isBuiltin(name) && !name.startsWith('./chunk-') && name !== 'onnxruntime-node',
    );
    expect(outside).toEqual([]);
    expect(await readdir(bundle)).toEqual(
      expect.arrayContaining(['LICENSE', 'THIRD-PARTY-LICENSES.txt', 'package.json', 'server.js']),
    );
  });

  it('gives the same bytes again', async () => {
    const [one, other] = [join(folder, 'one'), join(folder, 'other')];
    await bundleStandalone(one);
    await bundleStandalone(other);
    expect((await readdir(one)).sort()).toEqual((await readdir(other)).sort());
    for (const name of await readdir(one))
      expect((await readFile(join(one, name))).equals(await readFile(join(other, name)))).toBe(true);
  });

  it('is not made where code gets in that it must not have; the imports that lead to it are named', async () => {
    const bundle = join(folder, 'foreign');
    const making = bundleStandalone(bundle, { server: 'lib/store/open-store.ts' });
    await expect(making).rejects.toThrow(
      /lib\/store\/open-store\.ts\n {2}imports [^\n]+\n[\s\S]*node_modules\/@/,
    );
    expect(existsSync(bundle)).toBe(false);
    expect((await readdir(folder)).filter((name) => name.endsWith('.next'))).toEqual([]);
  });
});

describe('the lock of the runtime', () => {
  it('names each package that is needed, with its digest, and no other', async () => {
    const entry = z.looseObject({
      integrity: z.string(),
      dependencies: z.record(z.string(), z.string()).optional(),
    });
    const { dependencies, packages } = await lockOf(ROOT, 'onnxruntime-node');
    const entries = z.record(z.string(), entry).parse(packages);
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(await readFile(join(ROOT, 'node_modules/onnxruntime-node/package.json'), 'utf8')));
    expect(dependencies).toEqual({ 'onnxruntime-node': version });
    const needed = new Set(Object.values(entries).flatMap((one) => Object.keys(one.dependencies ?? {})));
    const names = Object.keys(entries).map((path) => path.replace(/.*node_modules\//, ''));
    expect(new Set(names)).toEqual(new Set(['onnxruntime-node', ...needed]));
    for (const { integrity } of Object.values(entries)) expect(integrity).toMatch(/^sha512-/);
  });

  it('is not made for a package that is not locked', async () => {
    await expect(lockOf(ROOT, 'no-such-package')).rejects.toThrow(
      'no-such-package is not in package-lock.json',
    );
  });
});
