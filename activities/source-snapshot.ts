import { rm } from 'node:fs/promises';
import { activityInfo } from '@temporalio/activity';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import { kindOf, type Source } from '../contracts/spec/sources.ts';
import type { IngestOutput } from '../contracts/stages.ts';
import { acquireEvents } from '../lib/events/acquire.ts';
import { IncrementalReader, type ReaderContext } from '../lib/incremental/incremental-reader.ts';
import {
  pinnedSnapshot,
  recordSnapshot,
  snapshotFiles,
  snapshotRelation,
} from '../lib/incremental/snapshots.ts';
import { type SourceFile, takeIncrement } from '../lib/incremental/take-increment.ts';
import type { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import { acquireSource } from '../lib/sources/acquire.ts';
import { snapshotSource } from '../lib/sources/snapshot.ts';
import type { SourceOptions } from '../lib/sources/source.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readEventLog } from './event-log.ts';

/** What {@link takeSource} works with. */
export interface TakeContext extends ReaderContext {
  /** One that decrypts, and encrypts what it is to encrypt: `store.within(scratchDir, { encrypt })`. */
  store: ArtifactStore;
  /** Looks for personal columns, whose tables are encrypted at rest; left out, nothing is looked for. */
  personal?: PersonalColumns;
}

/** A source as a run has it; its snapshot is one Parquet file, or the manifest of several: see `snapshotFiles`. */
export type TakenSource = Omit<IngestOutput['sources'][number], 'name'>;

/** The run that an activity works for: all its attempts are the same one. */
export const runOfActivity = (): string => {
  const { workflowExecution } = activityInfo();
  return `${workflowExecution?.workflowId}/${workflowExecution?.runId}`;
};

/** Reads event logs for `acquireSource`. */
export const eventReader =
  (deps: ActivityDependencies, { database, store }: Pick<TakeContext, 'database' | 'store'>) =>
  async (name: string, source: Extract<Source, { events: string }>, options: SourceOptions) =>
    acquireEvents(database, name, source, await readEventLog(deps, source.events), store, options.scratchDir);

/**
 * Takes a source's snapshot for a run: the one that it is pinned to, all of it, or all that was ever taken of it with
 * what is new. Every snapshot is written down, so that a later run can be pinned to it.
 *
 * @param run see {@link runOfActivity}: an incremental source is taken once for a run, however many attempts it has
 * @throws PerennialError as `acquireSource`, `snapshotSource` and `takeIncrement`
 */
export async function takeSource(
  context: TakeContext,
  pipeline: string,
  run: string,
  name: string,
  source: Source,
): Promise<TakenSource & { identity: string | null }> {
  try {
    return await taken(context, pipeline, run, name, source);
  } catch (error) {
    // Not only what is acquired may speak of an address: listing, checking and reading do, too.
    throw context.options.secrets.hide(error);
  }
}

async function taken(
  context: TakeContext,
  pipeline: string,
  run: string,
  name: string,
  source: Source,
): Promise<TakenSource & { identity: string | null }> {
  const { database, store, options, personal, without } = context;
  if (source.pin !== undefined)
    return { ...(await takePinned(context, name, source, source.pin)), identity: null };
  const folder = `${options.scratchDir}/source-${name}`;
  try {
    if (source.incremental === undefined) {
      const acquired = await acquireSource(database, name, source, options);
      const scratch = `${options.scratchDir}/${name}.parquet`;
      const { suppressed, ...snapshot } = await snapshotSource(
        database,
        name,
        source,
        acquired,
        store,
        scratch,
        personal,
        without && ((relation) => without(name, relation, `${scratch}.kept`)),
      );
      await recordSnapshot(store.documents, snapshot);
      const { kind, origin, sha256: sourceSha256, identity } = acquired;
      return { kind, origin, snapshot, sourceSha256, identity, ...(suppressed ? { suppressed } : {}) };
    }
    const reader = new IncrementalReader(context, name, source);
    const { scratchDir } = options;
    const { snapshot, report } = await takeIncrement(
      // What new rows may hold that the earlier ones did not is not asked each time: they are always encrypted.
      { database, store: personal ? store.within(scratchDir, { encrypt: true }) : store, scratchDir },
      { pipeline, source: name, run },
      'newFiles' in source.incremental
        ? { newFiles: await reader.files(), read: (files: readonly SourceFile[]) => reader.newFiles(files) }
        : reader.byWatermark(source.incremental),
    );
    await recordSnapshot(store.documents, snapshot);
    return {
      kind: kindOf(source),
      origin: reader.origin,
      snapshot,
      sourceSha256: snapshot.artifact.sha256,
      identity: null,
      increment: report,
      ...(reader.suppressed > 0 ? { suppressed: reader.suppressed } : {}),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** An earlier snapshot, without the people who were erased since, also where it was taken for a pipeline without a subject. */
async function takePinned(
  { store, options, without }: TakeContext,
  name: string,
  source: Source,
  pin: string,
): Promise<TakenSource> {
  const taken = { kind: kindOf(source), origin: `pinned to ${pin}`, sourceSha256: pin };
  const snapshot = await pinnedSnapshot(store, name, pin);
  const relation = snapshotRelation(await snapshotFiles(store, snapshot));
  const kept = await without?.(name, relation, `${options.scratchDir}/${name}.pinned.parquet`);
  if (!kept?.path) return { ...taken, snapshot };
  const rows = snapshot.rows - kept.suppressed;
  const artifact = await store.putFile(kept.path, MEDIA_TYPES.parquet, { encrypt: true });
  const { columns } = snapshot;
  return { ...taken, snapshot: { artifact, rows, columns }, suppressed: kept.suppressed };
}
