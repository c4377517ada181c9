import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  cp,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { promisify } from 'node:util';
import { PerennialError } from '../../contracts/errors.ts';
import { DATA, pack, unpack } from './archive.ts';
import { platformPaths } from './files.ts';
import { keyringsIn } from './keyring-files.ts';
import { ProcessLock } from './lock.ts';
import { findPython } from './programs.ts';

/** The keys of encrypted artifacts. A backup that held them, too, would protect nothing. */
const KEYRING = 'keyring.json';
/** What belongs to this machine or to this very run, and what can be had again; it stays out of backups. */
const LEFT_OUT = new Set([
  'bin',
  'logs',
  'cache',
  'scratch',
  'sources',
  'platform.json',
  'platform.lock',
  'setup.lock',
]);
/** What a restore leaves where it is. */
const KEPT_IN_PLACE = ['bin'];

/** SQLite's online backup: one consistent state, while others go on writing. */
const SNAPSHOT = `
import sqlite3, sys
source = sqlite3.connect("file:" + sys.argv[1].replace("%", "%25").replace("?", "%3f").replace("#", "%23") + "?mode=ro", uri=True, timeout=60)
target = sqlite3.connect(sys.argv[2])
source.backup(target)
target.execute("PRAGMA journal_mode=DELETE")
answer = target.execute("PRAGMA integrity_check").fetchone()[0]
target.close()
source.close()
if answer != "ok": sys.exit(answer)
`;

/** What a backup holds. */
export interface BackupResult {
  readonly file: string;
  readonly files: number;
  /** Before compression. */
  readonly bytes: number;
  /** The keyrings that the backup does not hold, and may need: they are kept apart. */
  readonly keyrings: readonly string[];
}

/**
 * Writes everything that a platform knows into one `.tar.gz` (mode 0600), while it runs or not: both databases,
 * artifacts, MLflow's artifacts, routes, configuration, with a manifest of digests. Keyrings stay out of it, under
 * whatever name they lie in the data directory; so do artifacts of a store that does not lie in the data directory.
 *
 * First Temporal's database is taken, then MLflow's, then the files. Each refers only to what was there before it, so
 * nothing in the archive points at something that is missing from it; a workflow that is restored repeats at most
 * steps that MLflow already knows.
 *
 * @param options.python interpreter for SQLite's backup; default see `findPython`
 * @param options.keyring the keyring where it is another file than `keyring.json` in the data directory:
 *   `PERENNIAL_KEYRING`
 * @throws PerennialError `InputInvalid` where there is nothing to back up
 * @example await backup('.perennial', 'perennial-2026-11-21.tar.gz')
 */
export async function backup(
  dataDir: string,
  file: string,
  options: { readonly python?: string; readonly keyring?: string | undefined } = {},
): Promise<BackupResult> {
  const source = resolve(dataDir);
  const target = resolve(file);
  if (!existsSync(source))
    throw new PerennialError('InputInvalid', `There is no data directory ${source}; nothing was backed up.`);
  if (target.startsWith(source + sep)) {
    throw new PerennialError(
      'InputInvalid',
      `The backup ${target} must not lie inside the data directory ${source}.`,
    );
  }
  const keyring = resolve(options.keyring || join(source, KEYRING));
  const keyrings = await keyringsIn(source, keyring, LEFT_OUT);
  await mkdir(dirname(target), { recursive: true });
  // Beside the data, so that artifacts can be linked instead of copied.
  const stage = await mkdtemp(`${source}.backup-`);
  const partial = `${target}.${randomUUID()}`;
  try {
    const data = join(stage, DATA);
    await mkdir(data, { mode: 0o700 });
    await snapshotDatabases(source, data, options.python ?? findPython(undefined));
    await copyTree(source, data, source, keyrings);
    const { files } = await pack(stage, partial);
    await chmod(partial, 0o600);
    await flush(partial);
    await rename(partial, target);
    return {
      file: target,
      files: files.length,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      keyrings: [...new Set([...(existsSync(keyring) ? [keyring] : []), ...keyrings])],
    };
  } finally {
    await rm(partial, { force: true });
    await rm(stage, { recursive: true, force: true });
  }
}

/** What a restore did. */
export interface RestoreResult {
  readonly dataDir: string;
  readonly files: number;
  /** When the backup was made; ISO 8601, UTC. */
  readonly createdAt: string;
  /** Where the former content of the data directory lies now, where there was any. */
  readonly replaced?: string;
}

/**
 * Puts a backup into a data directory. The archive is unpacked beside it and checked as a whole first; then the
 * folder takes the place of the old one in one rename.
 *
 * @param options.force whether a data directory that holds something may be replaced; it is put aside, not deleted
 * @param options.keyring `PERENNIAL_KEYRING`: where it lies in the data directory, it stays in its place, as `keyring.json`
 * @throws PerennialError `InputInvalid` where a platform runs there or the folder is not empty, `ArtifactCorrupt`
 *   where the archive is damaged. Nothing has changed then.
 * @example await restore('perennial-2026-11-21.tar.gz', '.perennial')
 */
export async function restore(
  file: string,
  dataDir: string,
  options: { readonly force?: boolean; readonly keyring?: string | undefined } = {},
): Promise<RestoreResult> {
  const archive = resolve(file);
  const target = resolve(dataDir);
  if (!existsSync(archive)) throw new PerennialError('InputInvalid', `There is no backup ${archive}.`);
  await mkdir(dirname(target), { recursive: true });
  const holds = (await readdir(target).catch(() => [])).filter(
    (name) => !LEFT_OUT.has(name) && name !== KEYRING,
  );
  if (holds.length > 0 && options.force !== true) {
    throw new PerennialError(
      'InputInvalid',
      `The data directory ${target} is not empty (${holds.slice(0, 4).join(', ')}). Name another one, or use --force: its content is put aside then.`,
    );
  }
  await mkdir(target, { recursive: true, mode: 0o700 });
  const lock = ProcessLock.acquire(platformPaths(target).lock);
  if (!(lock instanceof ProcessLock)) {
    throw new PerennialError(
      'InputInvalid',
      `A platform runs on ${target} (process ${lock.pid}). Stop it with "perennial down", then restore.`,
    );
  }
  const stage = await mkdtemp(`${target}.restore-`);
  try {
    const { files, createdAt } = await unpack(archive, stage);
    const named = resolve(options.keyring || join(target, KEYRING));
    const keyrings = [...(await keyringsIn(target, named, LEFT_OUT))].map((path) => relative(target, path));
    const replaced = await exchange(target, join(stage, DATA), keyrings, holds.length > 0);
    return { dataDir: target, files: files.length, createdAt, ...(replaced ? { replaced } : {}) };
  } finally {
    lock.release();
    await rm(stage, { recursive: true, force: true });
  }
}

/** Moves the old folder aside and the new one to its place; puts the old one back where the second step fails. */
async function exchange(
  target: string,
  fresh: string,
  keyrings: readonly string[],
  keep: boolean,
): Promise<string | undefined> {
  const aside = `${target}.replaced-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  await rename(target, aside);
  try {
    await rename(fresh, target);
  } catch (error) {
    await rename(aside, target);
    throw error;
  }
  for (const name of KEPT_IN_PLACE) {
    if (existsSync(join(aside, name))) await rename(join(aside, name), join(target, name));
  }
  // What was put aside needs its keys, too.
  for (const path of keyrings) {
    await mkdir(dirname(join(target, path)), { recursive: true, mode: 0o700 });
    await cp(join(aside, path), join(target, path), { verbatimSymlinks: true });
  }
  if (keep) {
    await rm(join(aside, basename(platformPaths(target).lock)), { force: true });
    return aside;
  }
  await rm(aside, { recursive: true, force: true });
  return undefined;
}

async function snapshotDatabases(source: string, data: string, python: string): Promise<void> {
  const { temporalDb, mlflowDb } = platformPaths(source);
  for (const database of [temporalDb, mlflowDb]) {
    if (!existsSync(database)) continue;
    const copy = join(data, relative(source, database));
    await mkdir(dirname(copy), { recursive: true, mode: 0o700 });
    try {
      await promisify(execFile)(python, ['-c', SNAPSHOT, database, copy]);
    } catch (error) {
      const words = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
      throw new PerennialError('ArtifactCorrupt', `SQLite cannot back up ${database}: ${words}`);
    }
  }
}

/**
 * Copies what is not a database. Blobs of the artifact store never change, so they are linked; other files may be
 * appended to at any moment, and are copied (shared blocks where the file system can).
 */
async function copyTree(
  folder: string,
  target: string,
  root: string,
  keyrings: ReadonlySet<string>,
): Promise<void> {
  const paths = platformPaths(root);
  const databases = [paths.temporalDb, paths.mlflowDb];
  const blobs = join(paths.artifacts, 'sha256') + sep;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const from = join(folder, entry.name);
    const to = join(target, entry.name);
    if ((folder === root && LEFT_OUT.has(entry.name)) || keyrings.has(from)) continue;
    if (from === join(paths.artifacts, 'tmp') || databases.some((database) => from.startsWith(database)))
      continue;
    // A part of the data directory may lie on another disk, behind a link.
    const found = folder === root && entry.isSymbolicLink() ? await stat(from) : entry;
    if (found.isDirectory()) {
      await mkdir(to, { recursive: true, mode: 0o700 });
      await copyTree(from, to, root, keyrings);
    } else if (found.isFile()) {
      await copyOne(from, to, from.startsWith(blobs));
    } else if (found.isSymbolicLink()) {
      throw new PerennialError(
        'InputInvalid',
        `${from} is a link; only what lies right in the data directory may be one. Put its content in its place.`,
      );
    } // else a socket or a pipe, which holds nothing
  }
}

async function copyOne(from: string, to: string, immutable: boolean): Promise<void> {
  try {
    if (immutable) {
      await link(from, to);
      return;
    }
  } catch {
    // no hard links here: a copy does as well
  }
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    // Temporary files of running parts may vanish in between.
    if (
      await lstat(from).then(
        () => true,
        () => false,
      )
    )
      throw error;
  }
}

/** On disk before it gets its name. */
async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
