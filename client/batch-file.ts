import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { PerennialError } from '../contracts/errors.ts';

const MAX_BYTES = 1_000_000;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The argument of a batch from a file of YAML or JSON, its paths meant from where the file lies.
 *
 * @throws PerennialError `InputInvalid`
 */
export async function readBatchFile(file: string): Promise<Record<string, unknown>> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new PerennialError('InputInvalid', `${file}: no such file, or it cannot be read`, false, { cause });
  });
  if (bytes.length > MAX_BYTES)
    throw new PerennialError(
      'InputInvalid',
      `${file}: ${bytes.length} bytes are too much for a batch; at most ${MAX_BYTES}`,
    );
  const document = parseDocument(bytes.toString('utf8'));
  const [problem] = document.errors;
  if (problem) throw new PerennialError('InputInvalid', `${file}: ${problem.message}`);
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (!isObject(value))
    throw new PerennialError('InputInvalid', `${file}: expected an object with model, source, output`);
  return withAbsolutePaths(value, dirname(resolve(file)));
}

/** The same argument with paths that mean the same wherever the worker runs. */
export function withAbsolutePaths(input: Record<string, unknown>, folder: string): Record<string, unknown> {
  const place = (value: unknown): unknown =>
    typeof value === 'string'
      ? absolute(value, folder)
      : isObject(value) && typeof value.path === 'string'
        ? { ...value, path: absolute(value.path, folder) }
        : value;
  return {
    ...input,
    ...(input.source === undefined ? {} : { source: place(input.source) }),
    ...(input.output === undefined ? {} : { output: place(input.output) }),
  };
}

/** A path that begins with a secret is made whole by the worker; an address is none. `join` keeps a `/` at the end. */
const absolute = (path: string, folder: string): string =>
  isAbsolute(path) || path.startsWith('${env:') || /^[a-z0-9+]+:\/\//i.test(path) ? path : join(folder, path);
