import { PerennialError } from '../../contracts/errors.ts';
import {
  type Segment,
  SNAPSHOT_MANIFEST_TYPE,
  type SnapshotManifest,
  snapshotManifest,
} from '../../contracts/incremental.ts';
import { type ArtifactRef, type TableRef, tableRef } from '../../contracts/refs.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { Documents } from '../store/documents.ts';

const FOLDER = 'snapshots/';

/**
 * The local Parquet files of a snapshot: one, or one for each segment of an incremental source.
 *
 * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`
 */
export async function snapshotFiles(
  store: Pick<ArtifactStore, 'path' | 'json'>,
  { artifact }: Pick<TableRef, 'artifact'>,
): Promise<string[]> {
  if (artifact.mediaType !== SNAPSHOT_MANIFEST_TYPE) return [await store.path(artifact)];
  const manifest = snapshotManifest.safeParse(await store.json(artifact));
  if (!manifest.success)
    throw new PerennialError('ArtifactCorrupt', `artifact ${artifact.uri} is not a manifest of a snapshot`);
  const files: string[] = [];
  for (const segment of manifest.data.segments) files.push(await store.path(segment.artifact));
  return files;
}

/** The files of a snapshot as one relation: a column that a segment lacks is missing in its rows. */
export const snapshotRelation = (files: readonly string[]): string =>
  `read_parquet([${files.map(quoteLiteral).join(', ')}]${files.length > 1 ? ', union_by_name = true' : ''})`;

/** Stores the manifest of a snapshot that consists of segments. */
export function putManifest(
  store: Pick<ArtifactStore, 'putBytes'>,
  segments: readonly Segment[],
): Promise<ArtifactRef> {
  const manifest: SnapshotManifest = { schemaVersion: 1, segments: [...segments] };
  return store.putBytes(JSON.stringify(manifest), SNAPSHOT_MANIFEST_TYPE);
}

/** Writes a snapshot down under its digest, so that a later run can be pinned to it. */
export async function recordSnapshot(documents: Documents, snapshot: TableRef): Promise<void> {
  await documents.write(`${FOLDER}${snapshot.artifact.sha256}`, snapshot);
}

/**
 * The snapshot that a source is pinned to.
 *
 * @param name of the source, for messages
 * @param digest SHA-256 of a snapshot of an earlier run: the `pin` of a source
 * @throws PerennialError `SourceNotFound` where no run took such a snapshot, or it was deleted since
 */
export async function pinnedSnapshot(
  store: Pick<ArtifactStore, 'path' | 'json'> & { documents: Documents },
  name: string,
  digest: string,
): Promise<TableRef> {
  const found = tableRef.safeParse((await store.documents.read(`${FOLDER}${digest}`))?.value);
  const gone = (why: string, cause?: unknown): PerennialError =>
    new PerennialError(
      'SourceNotFound',
      `source ${name}: ${why} ${digest}; the snapshots of a run stand in its outputs under ingest.sources`,
      false,
      { cause },
    );
  if (!found.success) throw gone('no run took a snapshot with the digest');
  await snapshotFiles(store, found.data).catch((error: unknown) => {
    if (error instanceof PerennialError && error.code === 'ArtifactMissing')
      throw gone('there is no more the data of the snapshot', error);
    throw error;
  });
  return found.data;
}
