import { lstat, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { FileSource } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { sha256Of } from '../store/digest.ts';
import { isWithin } from '../store/store-location.ts';
import { formatOf } from './formats.ts';
import { isPartitioned } from './partitions.ts';
import { digestOf, prepareFiles } from './prepared-files.ts';
import { type AcquiredSource, maxBytesOf, type SourceFormat, type SourceOptions } from './source.ts';

/** The files of a source, in name order. */
export interface FoundFiles {
  files: string[];
  format: SourceFormat;
  partitioned: boolean;
}

/**
 * Finds the files of a source. What a spec may read is the worker's decision: only ordinary files below `roots`,
 * after links are followed, and nothing within `denied`.
 *
 * @param options.roots allowed folders; a relative path is looked up below each in turn
 * @throws PerennialError `SourceNotFound`, `SourceDenied`, `SourceUnreadable`
 */
export async function findFiles(
  database: Database,
  name: string,
  source: FileSource,
  { roots, denied = [], secrets }: Pick<SourceOptions, 'roots' | 'denied' | 'secrets'>,
): Promise<FoundFiles> {
  const path = secrets.resolve(source.path);
  const patterns = isAbsolute(path) ? [resolve(path)] : roots.map((root) => join(root, path));
  for (const pattern of patterns) {
    const matched = await matchesOf(database, pattern);
    if (matched.length === 0) continue;
    const files = await Promise.all(matched.map((file) => checkFile(name, file, roots, denied)));
    // The engine takes these paths for patterns again: it would read other files than those checked here.
    const ambiguous = files.find((file) => /[[*?{]/.test(file));
    if (ambiguous !== undefined)
      throw new PerennialError(
        'SourceUnreadable',
        `source ${name}: ${ambiguous} has one of [ * ? { in its name, which would be read as a pattern; rename it, or leave it out of path`,
      );
    return {
      files,
      format: formatOf(`source ${name}: ${source.path}`, source, files[0] ?? ''),
      partitioned: isPartitioned(source, pattern, matched),
    };
  }
  throw new PerennialError(
    'SourceNotFound',
    `source ${name}: no file matches ${source.path}; looked at ${patterns.join(', ')}`,
  );
}

/** The glob's files; a path without wildcards also where it names no ordinary file, so that the error can say so. */
async function matchesOf(database: Database, pattern: string): Promise<string[]> {
  const found = await database.rows(`SELECT file FROM glob(${quoteLiteral(pattern)}) ORDER BY file`);
  if (found.length > 0) return found.map((row) => String(row.file));
  return (await lstat(pattern).catch(() => undefined)) ? [pattern] : [];
}

const realPaths = (paths: readonly string[]): Promise<string[]> =>
  Promise.all(paths.map((path) => realpath(path).catch(() => resolve(path))));

/** The file behind links, where it is an ordinary one that may be read. */
async function checkFile(
  name: string,
  file: string,
  roots: readonly string[],
  denied: readonly string[],
): Promise<string> {
  const allowed = await realPaths(roots);
  const real = await realpath(file).catch(() => {
    throw new PerennialError(
      'SourceNotFound',
      `source ${name}: ${file} is a link to nowhere, or lies in a folder that the worker cannot read`,
    );
  });
  const around = allowed.filter((root) => isWithin(real, root));
  if (around.length === 0)
    throw new PerennialError(
      'SourceDenied',
      `source ${name}: ${file} lies outside of the folders that this worker may read (${roots.join(', ')}); move the data or set PERENNIAL_SOURCE_ROOTS on the worker`,
    );
  // A root that was chosen within such a folder is meant.
  const own = await realPaths(denied);
  if (own.some((place) => isWithin(real, place) && !around.some((root) => isWithin(root, place))))
    throw new PerennialError(
      'SourceDenied',
      `source ${name}: ${file} belongs to what the worker keeps for itself (data directory, artifacts, keys); move the data, or name the files more closely`,
    );
  const info = await stat(real);
  if (info.isDirectory())
    throw new PerennialError(
      'SourceUnreadable',
      `source ${name}: ${file} is a folder; name its files, for example by ${join(file, '*.csv')}`,
    );
  // Before anything opens it: a pipe would be waited for without end.
  if (!info.isFile())
    throw new PerennialError(
      'SourceUnreadable',
      `source ${name}: ${file} is a pipe, socket or device; only ordinary files can be read twice and give the same`,
    );
  return real;
}

/** @throws PerennialError */
export async function acquireFiles(
  database: Database,
  name: string,
  source: FileSource,
  options: SourceOptions,
): Promise<AcquiredSource> {
  const found = await findFiles(database, name, source, options);
  const before = await statsOf(found.files);
  const prepared = await prepareFiles(name, source, found.files, found, {
    scratchDir: options.scratchDir,
    maxBytes: maxBytesOf(source),
    ...(options.signal ? { signal: options.signal } : {}),
  });
  return {
    kind: 'file',
    ...prepared,
    identity: `sha256:${prepared.sha256}`,
    origin: source.path,
    verify: async () => {
      if ((await statsOf(found.files)) !== before)
        throw new PerennialError(
          'SourceUnreadable',
          `source ${name}: a file changed while it was read; it is read again`,
          true,
        );
    },
  };
}

/** The digest of the files' bytes: files say nothing cheaper that can be relied upon. */
export async function identifyFiles(
  database: Database,
  name: string,
  source: FileSource,
  options: Pick<SourceOptions, 'roots' | 'denied' | 'secrets' | 'signal'>,
): Promise<string> {
  const found = await findFiles(database, name, source, options);
  return `sha256:${await digestOf(name, found.files, found.partitioned, options.signal)}`;
}

/** Names, sizes and times of change of the files: where they are the same, so are the files as a rule. */
export async function lookAtFiles(
  database: Database,
  name: string,
  source: FileSource,
  options: Pick<SourceOptions, 'roots' | 'denied' | 'secrets'>,
): Promise<string> {
  const { files } = await findFiles(database, name, source, options);
  return `files:${sha256Of(`${files.join('\n')}\n${await statsOf(files)}`)}`;
}

const statsOf = async (files: readonly string[]): Promise<string> => {
  const stats = await Promise.all(files.map((file) => stat(file, { bigint: true })));
  return stats.map(({ size, mtimeNs, ino }) => `${ino}:${size}:${mtimeNs}`).join();
};
