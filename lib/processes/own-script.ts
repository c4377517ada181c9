import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** How to start a script of this package with the running Node: `node ...execArgv path`. */
export interface OwnScript {
  path: string;
  execArgv: string[];
}

/**
 * Finds a script of this package beside the calling module, both in the source (where it is TypeScript) and in the
 * build (where it is JavaScript).
 *
 * @param from `import.meta.url` of the calling module
 * @param script relative path of the script as it is named in the source
 * @example
 * const { path, execArgv } = ownScript(import.meta.url, './typescript/mlp.ts');
 * spawn(process.execPath, [...execArgv, path]);
 */
export function ownScript(from: string, script: `${string}.ts`): OwnScript {
  const isSource = new URL(from).pathname.endsWith('.ts');
  return scriptAt(fileURLToPath(new URL(isSource ? script : script.replace(/\.ts$/, '.js'), from)));
}

/** The same of a script's own path: JavaScript as it is, TypeScript by its build or through a loader. */
export function scriptAt(path: string): OwnScript {
  if (!path.endsWith('.ts')) return { path, execArgv: [] };
  const built = builtOf(path);
  if (built !== undefined) return { path: built, execArgv: [] };
  // Resolved from here, so that the child's working folder does not matter.
  return { path, execArgv: ['--import', import.meta.resolve('tsx')] };
}

/**
 * What a source was compiled to. Tests name the folder where they know that it was made of these very sources: a
 * process that compiles what it loads takes three times as long to start.
 */
function builtOf(source: string): string | undefined {
  const { PERENNIAL_BUILT: folder } = process.env;
  if (folder === undefined) return undefined;
  const built = join(folder, relative(dirname(folder), source)).replace(/\.ts$/, '.js');
  return existsSync(built) ? built : undefined;
}
