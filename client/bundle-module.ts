import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import { PerennialError } from '../contracts/errors.ts';
import { type BundledModule, MAX_MODULE_BYTES } from '../contracts/spec/custom-check.ts';

/**
 * Bundles a module of custom checks into one ES module without imports. danfojs is not bundled: the worker's own is
 * used. The same sources give the same bytes.
 *
 * @param path of a .ts or .js file
 * @param where the rule, for messages
 * @throws PerennialError `SpecInvalid`
 */
export async function bundleModule(path: string, where: string): Promise<BundledModule> {
  const esbuild = await import('esbuild').catch((cause: unknown) => {
    throw new PerennialError(
      'SpecInvalid',
      `${where}: a custom check needs the package esbuild here; run \`npm install esbuild\``,
      false,
      { cause },
    );
  });
  const folder = dirname(path);
  const built = await esbuild
    .build({
      absWorkingDir: folder,
      entryPoints: [`./${basename(path)}`],
      outfile: 'check.mjs',
      write: false,
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      // Errors then name the line of the source; the source itself would double the size.
      sourcemap: 'inline',
      sourcesContent: false,
      logLevel: 'silent',
      plugins: [
        {
          name: 'danfojs-of-the-worker',
          setup: (build) => {
            build.onResolve({ filter: /^danfojs-node$/ }, () => ({
              path: 'danfojs',
              namespace: 'perennial',
            }));
            build.onLoad({ filter: /.*/, namespace: 'perennial' }, () => ({
              contents: "module.exports = globalThis[Symbol.for('perennial.danfojs')];",
              loader: 'js',
            }));
          },
        },
      ],
    })
    .catch((cause: unknown) => {
      throw new PerennialError(
        'SpecInvalid',
        `${where}: ${path} cannot be bundled: ${firstError(cause)}`,
        false,
        {
          cause,
        },
      );
    });
  const source = built.outputFiles[0]?.text ?? '';
  if (Buffer.byteLength(source) > MAX_MODULE_BYTES)
    throw new PerennialError(
      'SpecInvalid',
      `${where}: ${path} is ${Buffer.byteLength(source)} bytes with what it imports, at most ${MAX_MODULE_BYTES} travel with a spec; import less`,
    );
  return { source, sha256: createHash('sha256').update(source).digest('hex') };
}

/** The rules of a spec with the modules of custom checks bundled; anything else as it is. */
export async function bundleRules(rules: unknown, absolute: (path: string) => string): Promise<unknown> {
  if (!Array.isArray(rules)) return rules;
  const bundled: unknown[] = [];
  for (const [index, rule] of rules.entries()) {
    const module: unknown =
      typeof rule === 'object' && rule !== null && 'module' in rule ? rule.module : undefined;
    bundled.push(
      typeof module === 'string'
        ? { ...rule, module: await bundleModule(absolute(module), `expectations[${index}].module`) }
        : rule,
    );
  }
  return bundled;
}

function firstError(cause: unknown): string {
  if (typeof cause === 'object' && cause !== null && 'errors' in cause && Array.isArray(cause.errors)) {
    const [first]: { text?: string; location?: { file?: string; line?: number } | null }[] = cause.errors;
    if (first?.text)
      return `${first.location?.file ? `${first.location.file}:${first.location.line}: ` : ''}${first.text}`;
  }
  return cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
}
