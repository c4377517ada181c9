import { PerennialError } from '../../contracts/errors.ts';
import { type IncrementalHead, incrementalHead } from '../../contracts/incremental.ts';
import { emptyHead } from '../../domain/incremental.ts';
import type { Documents } from '../store/documents.ts';

const FOLDER = 'incremental/';

/** Names of documents begin with a letter or a digit, those of sources may begin otherwise. */
const keyOf = (pipeline: string, source: string): string => `${FOLDER}of-${pipeline}/of-${source}`;

/** A head as it was read, with what {@link writeHead} needs to know whether it is still the same. */
export interface ReadHead {
  head: IncrementalHead;
  version: string | null;
}

/**
 * The head of an incremental source; an empty one where nothing was read yet.
 *
 * @param by by what it is told what is new
 * @throws PerennialError `SourceUnreadable` where that was something else until now
 */
export async function readHead(
  documents: Documents,
  pipeline: string,
  source: string,
  by: string,
): Promise<ReadHead> {
  const key = keyOf(pipeline, source);
  const found = await documents.read(key);
  if (!found) return { head: emptyHead(by), version: null };
  const head = parsed(found.value, key);
  if (head.by !== by)
    throw new PerennialError(
      'SourceUnreadable',
      `source ${source}: earlier runs of ${pipeline} found what is new by ${head.by}, now it is to be ${by}; rows would be read twice or not at all. Give the source another name to read all of it anew`,
    );
  return { head, version: found.version };
}

/** @returns whether it was written: `false` where another run was faster */
export async function writeHead(
  documents: Documents,
  pipeline: string,
  source: string,
  head: IncrementalHead,
  version: string | null,
): Promise<boolean> {
  return (await documents.write(keyOf(pipeline, source), head, { ifVersion: version })) !== undefined;
}

/** All heads that there are; the garbage collector keeps what they name. */
export async function* incrementalHeads(documents: Documents): AsyncGenerator<IncrementalHead> {
  for await (const key of documents.keys(FOLDER)) {
    const found = await documents.read(key);
    if (found) yield parsed(found.value, key);
  }
}

function parsed(value: unknown, key: string): IncrementalHead {
  const result = incrementalHead.safeParse(value);
  if (result.success) return result.data;
  throw new PerennialError(
    'ArtifactCorrupt',
    `the document ${key} of an incremental source is not what it should be; restore it from a backup`,
  );
}
