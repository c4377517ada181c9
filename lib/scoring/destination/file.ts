import { randomUUID } from 'node:crypto';
import { link, lstat, mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { type BatchFormat, formatOfName, type WrittenOutput } from '../../../contracts/batch-output.ts';
import { PerennialError } from '../../../contracts/errors.ts';
import { sha256OfFile } from '../../store/digest.ts';
import { isWithin } from '../../store/store-location.ts';
import { fileError, taken } from './output-errors.ts';

/** A file output as people write it. */
export interface FileOutput {
  path: string;
  format?: BatchFormat | undefined;
  overwrite: boolean;
}

/** Where files may be written. */
export interface OutputRules {
  roots: readonly string[];
  /** Folders and files that are the worker's own. */
  denied: readonly string[];
}

const SUFFIX: Record<BatchFormat, string> = { parquet: '.parquet', csv: '.csv', jsonl: '.jsonl' };

/** The format of an output whose name says it, or that says it itself. */
export const formatOf = (name: string, format: BatchFormat | undefined): BatchFormat =>
  format ?? formatOfName(name) ?? 'parquet';

/** The name of the file of a batch: of a folder (`…/`) one below it that is called like the batch. */
export const placeOf = (name: string, format: BatchFormat, batchId: string): string =>
  name.endsWith('/') ? `${name}${batchId}${SUFFIX[format]}` : name;

/**
 * The absolute path of a batch's file, where the worker may write it. Nothing is made.
 *
 * @throws PerennialError `OutputDenied` outside of the roots, through a link that leads out of them, within what is the
 *   worker's own, and for a name that does not end as its format does
 */
export async function allowedPath(
  { path, format: asked }: FileOutput,
  batchId: string,
  { roots, denied }: OutputRules,
): Promise<string> {
  const format = formatOf(path, asked);
  const where = placeOf(path, format, batchId);
  const [first] = roots;
  if (first === undefined)
    throw new PerennialError(
      'OutputDenied',
      `output ${path}: this worker writes no files; set PERENNIAL_OUTPUT_ROOTS on the worker`,
    );
  const wanted = isAbsolute(where) ? resolve(where) : resolve(first, where);
  if (!basename(wanted).toLowerCase().endsWith(SUFFIX[format]))
    throw new PerennialError(
      'OutputDenied',
      `output ${path}: a file of the format ${format} is written under a name that ends with ${SUFFIX[format]}`,
    );
  const real = await realPlace(wanted);
  const allowed = await Promise.all(roots.map(realPlace));
  const around = allowed.filter((root) => isWithin(real, root));
  if (around.length === 0)
    throw new PerennialError(
      'OutputDenied',
      `output ${path}: it lies outside of the folders that this worker may write to (${roots.join(', ')}); choose another place or set PERENNIAL_OUTPUT_ROOTS on the worker`,
    );
  const own = await Promise.all(denied.map(realPlace));
  if (own.some((place) => isWithin(real, place) && !around.some((root) => isWithin(root, place))))
    throw new PerennialError(
      'OutputDenied',
      `output ${path}: it belongs to what the worker keeps for itself (data directory, artifacts, keys); choose another place`,
    );
  return real;
}

/** A path whose existing part is followed through links; what is not there yet is none. */
async function realPlace(path: string): Promise<string> {
  const absolute = resolve(path);
  try {
    return await realpath(absolute);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    // A link to nowhere is a place that nobody can judge.
    if (code !== 'ENOENT' || (await lstat(absolute).catch(() => undefined))?.isSymbolicLink())
      throw fileError(`output ${path}`, error);
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(await realPlace(parent), basename(absolute));
  }
}

/**
 * Writes a batch's file: beside its place first, then under its name, whole or not at all. The same batch once more
 * finds its own file and leaves it.
 *
 * @param write writes the rows to its first path, which becomes the second, and says how many there are
 * @throws PerennialError `OutputExists`, `OutputDenied`, `OutputUnwritable`
 */
export async function writeFileOutput(
  output: FileOutput,
  batchId: string,
  rules: OutputRules,
  write: (partial: string, path: string) => Promise<number>,
): Promise<Omit<WrittenOutput, 'kind'>> {
  const path = await allowedPath(output, batchId, rules);
  const where = `output ${path}`;
  const folder = dirname(path);
  const prefix = `.${basename(path)}.${batchId}.`;
  const partial = join(folder, `${prefix}${randomUUID()}.partial`);
  try {
    await mkdir(folder, { recursive: true });
    // What attempts that were killed left behind.
    for (const name of await readdir(folder))
      if (name.startsWith(prefix) && name.endsWith('.partial')) await rm(join(folder, name), { force: true });
    const rows = await write(partial, path);
    const sha256 = await sha256OfFile(partial);
    const { size: bytes } = await stat(partial);
    await synced(partial);
    if (output.overwrite) await rename(partial, path);
    else await linked(partial, path, sha256, where);
    await synced(folder);
    return { destination: path, format: formatOf(output.path, output.format), rows, bytes, sha256 };
  } catch (error) {
    throw fileError(where, error);
  } finally {
    await rm(partial, { force: true });
  }
}

/** Gives a file its name, unless that is another file's. */
async function linked(partial: string, path: string, sha256: string, where: string): Promise<void> {
  try {
    await link(partial, path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'EEXIST') {
      const there = await stat(path);
      if (there.isFile() && (await sha256OfFile(path)) === sha256) return;
      throw taken(where);
    }
    // A file system without hard links: the name may be taken in between, which nobody can help there.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP') throw error;
    if (await stat(path).catch(() => undefined)) throw taken(where);
    await rename(partial, path);
  }
}

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
