import { createHash } from 'node:crypto';
import { realpath } from 'node:fs/promises';
import { isAbsolute, join, resolve, sep } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { FileSource } from '../../contracts/spec/data.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { sha256OfFile } from '../store/artifact-store.ts';

/** The files of a source, in name order, and one digest over all of their bytes. */
export interface SourceFiles {
  files: string[];
  sha256: string;
  format: 'csv' | 'parquet' | 'jsonl';
}

const FORMATS: readonly [RegExp, SourceFiles['format']][] = [
  [/\.(csv|tsv|txt)(\.gz|\.zst)?$/i, 'csv'],
  [/\.parquet$/i, 'parquet'],
  [/\.(jsonl|ndjson)(\.gz|\.zst)?$/i, 'jsonl'],
];

/**
 * Finds the files of a source. What a spec may read is the worker's decision: only files below `roots`, after
 * links are followed.
 *
 * @param roots allowed folders; a relative path is looked up below each in turn
 * @param options.digest whether the bytes are read for their digest; default `true`
 * @throws PerennialError `SourceNotFound`, `SourceDenied`, `SourceUnreadable`
 */
export async function findSourceFiles(
  database: Database,
  name: string,
  source: FileSource,
  roots: readonly string[],
  options: { digest: boolean } = { digest: true },
): Promise<SourceFiles> {
  const patterns = isAbsolute(source.path) ? [source.path] : roots.map((root) => join(root, source.path));
  const allowed = await Promise.all(roots.map((root) => realpath(root).catch(() => resolve(root))));
  for (const pattern of patterns) {
    const found = await database.rows(`SELECT file FROM glob(${quoteLiteral(pattern)}) ORDER BY file`);
    if (found.length === 0) continue;
    const files = await Promise.all(found.map((row) => realpath(String(row.file))));
    for (const file of files)
      if (!allowed.some((root) => file.startsWith(root.endsWith(sep) ? root : root + sep)))
        throw new PerennialError(
          'SourceDenied',
          `source ${name}: ${source.path} lies outside of the folders that this worker may read (${roots.join(', ')}); move the data or set PERENNIAL_SOURCE_ROOTS on the worker`,
        );
    // The engine takes these paths for patterns again: it would read other files than those checked here.
    const ambiguous = files.find((file) => /[[*?{]/.test(file));
    if (ambiguous !== undefined)
      throw new PerennialError(
        'SourceUnreadable',
        `source ${name}: ${ambiguous} has one of [ * ? { in its name, which would be read as a pattern; rename it, or leave it out of path`,
      );
    return {
      files,
      sha256: options.digest ? await digestOf(files) : '',
      format: formatOf(name, source, files[0] ?? ''),
    };
  }
  throw new PerennialError(
    'SourceNotFound',
    `source ${name}: no file matches ${source.path}; looked at ${patterns.join(', ')}`,
  );
}

function formatOf(name: string, source: FileSource, file: string): SourceFiles['format'] {
  const format = source.format ?? FORMATS.find(([pattern]) => pattern.test(file))?.[1];
  if (!format)
    throw new PerennialError(
      'SourceUnreadable',
      `source ${name}: the format of ${source.path} is not known from its name; set format to csv, parquet or jsonl`,
    );
  return format;
}

async function digestOf(files: readonly string[]): Promise<string> {
  const digests: string[] = [];
  for (const file of files) digests.push(await sha256OfFile(file));
  if (digests.length === 1) return digests[0] ?? '';
  return createHash('sha256').update(digests.join('\n')).digest('hex');
}
