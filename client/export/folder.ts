import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { access, chmod, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { STANDALONE_FILES } from '../../contracts/standalone.ts';

const CHECKSUMS = 'SHA256SUMS';
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

const refused = (message: string, cause?: unknown): PerennialError =>
  new PerennialError('InputInvalid', message, false, { cause });

/**
 * Writes a folder whole or not at all: into one beside it, which takes its place at the end.
 *
 * @param to the folder; made where it is missing
 * @param force whether a folder that holds an export is replaced
 * @param write fills the folder that it is given
 * @throws PerennialError `InputInvalid` where the folder is not empty, or cannot be written
 */
export async function writeWhole<T>(
  to: string,
  force: boolean,
  write: (folder: string) => Promise<T>,
): Promise<T> {
  const target = resolve(to);
  const found = await state(target);
  if (found === 'other' || (found === 'export' && !force)) throw occupied(target, found, force);
  const aside = (what: string): string =>
    join(dirname(target), `.${basename(target)}.${randomUUID()}.${what}`);
  const next = aside('partial');
  // Who presses Ctrl-C is left nothing to clean up.
  const interrupted = (): void => {
    rmSync(next, { recursive: true, force: true });
    process.exit(130);
  };
  for (const name of SIGNALS) process.once(name, interrupted);
  try {
    await mkdir(dirname(target), { recursive: true });
    await mkdir(next);
    const result = await write(next);
    if (found === 'empty') await rm(target, { recursive: true });
    if (found === 'export') await swap(target, next, aside('replaced'));
    else await rename(next, target);
    return result;
  } catch (cause) {
    if (
      cause instanceof Error &&
      'code' in cause &&
      /^E[A-Z]+$/.test(String(cause.code)) &&
      'syscall' in cause
    )
      throw refused(`${target} cannot be written: ${cause.message}`, cause);
    throw cause;
  } finally {
    for (const name of SIGNALS) process.off(name, interrupted);
    // Where its parent is no folder, there is nothing to remove, which Node calls an error.
    await rm(next, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function state(target: string): Promise<'missing' | 'empty' | 'export' | 'other'> {
  const found = await stat(target).catch(() => undefined);
  if (!found) return 'missing';
  if (!found.isDirectory()) return 'other';
  if ((await readdir(target)).length === 0) return 'empty';
  const marks = [STANDALONE_FILES.server, CHECKSUMS].map((name) => access(join(target, name)));
  return Promise.all(marks).then(
    () => 'export',
    () => 'other',
  );
}

function occupied(target: string, found: 'export' | 'other', force: boolean): PerennialError {
  if (found === 'export')
    return refused(`${target} holds an export already; name another folder, or replace it with --force`);
  return refused(
    force
      ? `${target} holds something else than an export, which --force does not delete; name another folder`
      : `${target} is not empty; name another folder`,
  );
}

/** Two renames: in between the name is free for a moment, and what was there comes back where the second one fails. */
async function swap(target: string, next: string, old: string): Promise<void> {
  await rename(target, old);
  await rename(next, target).catch(async (error: unknown) => {
    await rename(old, target);
    throw error;
  });
  await rm(old, { recursive: true, force: true });
}

/** Writes texts by their path below a folder. */
export async function writeTexts(folder: string, texts: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(texts)) {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

/** What {@link seal} found. */
export interface Sealed {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Gives every file the same rights wherever it was written, and writes their digests into `SHA256SUMS`, in the order
 * of their paths.
 *
 * @param programs paths of files that may be executed
 */
export async function seal(folder: string, programs: readonly string[]): Promise<Sealed> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const pathOf = ({ parentPath, name }: { parentPath: string; name: string }): string =>
    relative(folder, join(parentPath, name)).split(sep).join('/');
  for (const entry of entries) if (entry.isDirectory()) await chmod(join(folder, pathOf(entry)), 0o755);
  await chmod(folder, 0o755);
  const files = entries
    .filter((entry) => entry.isFile())
    .map(pathOf)
    .sort();
  const lines: string[] = [];
  let bytes = 0;
  for (const path of files) {
    const file = join(folder, path);
    await chmod(file, programs.includes(path) ? 0o755 : 0o644);
    const digest = createHash('sha256');
    for await (const chunk of createReadStream(file)) {
      digest.update(chunk);
      bytes += chunk.length;
    }
    lines.push(`${digest.digest('hex')}  ${path}\n`);
  }
  await writeFile(join(folder, CHECKSUMS), lines.join(''), { mode: 0o644 });
  return { files: files.length + 1, bytes };
}
