import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { orMissing } from '../store/durable-file.ts';
import type { PredictionArchive } from './archive.ts';
import { type LogFile, parseLogFile } from './log-files.ts';

/** No segment is called so: names of segments have no `@`. */
const MERGED = '@merged-';
const MANIFEST = '@merged.json';

/**
 * Which file of a day took the place of which others. It is written in one step, and with it they change places: a
 * merged file that it does not name is not there yet, a part that it names is not there any more, whether or not its
 * bytes still are.
 */
const mergedDay = z.strictObject({
  schemaVersion: z.literal(1),
  /** Name of the merged file in the folder of the day. */
  file: z.string().startsWith(MERGED),
  /** The segments whose rows it holds, or held before an erasure. */
  origins: z.array(z.string()),
});
export type MergedDay = z.infer<typeof mergedDay>;

/** The folder of a day, with a slash behind. */
export const dayFolder = (key: string): string => key.slice(0, key.lastIndexOf('/') + 1);
const nameOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);
/** The segment that a file was made of. */
export const originOf = (key: string): string => nameOf(key).replace(/\.parquet$/, '');

export const manifestKey = (folder: string): string => `${folder}${MANIFEST}`;
export const isManifest = (key: string): boolean => nameOf(key) === MANIFEST;
/** @param id that no other merged file has */
export const mergedName = (id: string): string => `${MERGED}${id}.parquet`;
const isMerged = (key: string): boolean => nameOf(key).startsWith(MERGED);

/** As it is written. */
export const manifestText = (day: MergedDay): string => `${JSON.stringify(mergedDay.parse(day))}\n`;

/**
 * What took the place of what on a day; `undefined` where nothing did.
 *
 * @param folder of the day
 * @param scratch a folder for a copy
 * @throws PerennialError `ArtifactCorrupt`
 */
export async function readMergedDay(
  archive: PredictionArchive,
  folder: string,
  scratch: string,
): Promise<MergedDay | undefined> {
  const copy = join(scratch, `${encodeURIComponent(folder)}manifest`);
  const path = await archive.get(manifestKey(folder), copy);
  const text = path === undefined ? undefined : await readFile(path, 'utf8').catch(orMissing);
  await rm(copy, { force: true });
  if (text === undefined) return undefined;
  try {
    return mergedDay.parse(JSON.parse(text));
  } catch {
    throw new PerennialError(
      'ArtifactCorrupt',
      `${archive.root}/${manifestKey(folder)} cannot be read, so that nobody knows which files of the day count; restore it from a backup`,
    );
  }
}

/** Whether a file counts on a day with that manifest. */
export const counts = (key: string, day: MergedDay | undefined): boolean =>
  isMerged(key) ? nameOf(key) === day?.file : !day?.origins.includes(originOf(key));

/** Files that count, and what took the place of others, by the folder of the day. */
export interface LiveFiles {
  readonly files: LogFile[];
  readonly days: ReadonlyMap<string, MergedDay>;
}

/** Manifests of so many days are asked for at a time. */
const AT_ONCE = 16;

/**
 * Of what was listed the files that count. The list comes first and the manifests afterwards: what was merged in between
 * is found by its manifest, and a merged file whose manifest is younger than the list is named by it.
 *
 * @param listed places, listed before this is called
 */
export async function liveFiles(
  archive: PredictionArchive,
  listed: readonly string[],
  scratch: string,
): Promise<LiveFiles> {
  const folders = listed.filter(isManifest).map(dayFolder);
  const days = new Map<string, MergedDay>();
  for (let from = 0; from < folders.length; from += AT_ONCE)
    await Promise.all(
      folders.slice(from, from + AT_ONCE).map(async (folder) => {
        const day = await readMergedDay(archive, folder, scratch);
        if (day) days.set(folder, day);
      }),
    );
  const keys = new Set(listed.filter((key) => !isMerged(key) && counts(key, days.get(dayFolder(key)))));
  for (const [folder, { file }] of days) keys.add(folder + file);
  const files = [...keys].flatMap((key) => parseLogFile(key) ?? []);
  return { files, days };
}
