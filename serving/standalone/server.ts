import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What the server's code needs; `engines` of the package says the same. */
const NODE = [20, 19] as const;

/**
 * The program of an exported model: serves the folder above its own, or the one that its argument names, until
 * SIGTERM or SIGINT. It loads the server only now, so that what is missing on a machine is said in words.
 *
 * Exit codes: 0 stopped, 1 the model cannot be served, 2 wrong settings or a missing runtime.
 */
async function main(): Promise<void> {
  const folder = process.argv[2]
    ? resolve(process.argv[2])
    : dirname(dirname(fileURLToPath(import.meta.url)));
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < NODE[0] || (major === NODE[0] && minor < NODE[1]))
    fail(2, `Node.js ${NODE.join('.')} or later is needed; this is ${process.versions.node}`);
  const { serve } = await import('./serve.ts').catch((error: unknown) =>
    fail(
      2,
      `onnxruntime-node cannot be loaded on ${process.platform}-${process.arch}; run \`npm ci --omit=dev --ignore-scripts\` in ${folder} (${wordsOf(error)})`,
    ),
  );
  await serve(folder).catch((error: unknown) => {
    const wrongSettings = error instanceof Error && 'code' in error && error.code === 'InputInvalid';
    fail(wrongSettings ? 2 : 1, wordsOf(error));
  });
}

function fail(code: number, message: string): never {
  process.stderr.write(`error: ${message}\n`);
  process.exit(code);
}

/** The first line: Node adds a stack of modules to its own. */
const wordsOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

await main();
