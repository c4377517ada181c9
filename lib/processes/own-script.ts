import { fileURLToPath } from 'node:url';

/** How to start a script of this package with the running Node: `node ...execArgv path`. */
export interface OwnScript {
  path: string;
  execArgv: string[];
}

/**
 * Finds a script of this package beside the calling module, both in the source (where it is TypeScript and needs
 * a loader) and in the build (where it is JavaScript).
 *
 * @param from `import.meta.url` of the calling module
 * @param script relative path of the script as it is named in the source
 * @example
 * const { path, execArgv } = ownScript(import.meta.url, './typescript/mlp.ts');
 * spawn(process.execPath, [...execArgv, path]);
 */
export function ownScript(from: string, script: `${string}.ts`): OwnScript {
  if (new URL(from).pathname.endsWith('.ts')) {
    // Resolved from here, so that the child's working folder does not matter.
    return { path: fileURLToPath(new URL(script, from)), execArgv: ['--import', import.meta.resolve('tsx')] };
  }
  return { path: fileURLToPath(new URL(script.replace(/\.ts$/, '.js'), from)), execArgv: [] };
}
