import type { CachePolicy } from '../contracts/cache.ts';
import { PerennialError } from '../contracts/errors.ts';
import { MAX_SOURCE_COLUMNS } from '../contracts/payload-limits.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { Source } from '../contracts/spec/sources.ts';
import { type IngestOutput, ingestOutput } from '../contracts/stages.ts';
import { withoutSuppressed } from '../lib/erasure/suppressed-rows.ts';
import { Suppressions } from '../lib/erasure/suppressions.ts';
import { eventsIdentity } from '../lib/events/acquire.ts';
import { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import { identifySource } from '../lib/sources/acquire.ts';
import { remembering, sourceOptions } from '../lib/sources/options.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { cachedStage } from './cached.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readEventLog } from './event-log.ts';
import type { ActivityFrame } from './frame.ts';
import { RecordedRows } from './recorded-rows.ts';
import {
  eventReader,
  runOfActivity,
  type TakeContext,
  type TakenSource,
  takeSource,
} from './source-snapshot.ts';
import { withDatabase } from './with-database.ts';

const takenSource = ingestOutput.shape.sources.element.omit({ name: true });

/**
 * Snapshots of the sources of a spec, each written down for erasures as soon as it is there.
 *
 * @param only names of the sources that are wanted; default all
 * @throws PerennialError as `takeSource`; `ColumnInvalid` for too many columns
 */
export async function takenSources(
  deps: ActivityDependencies,
  { spec, cache }: { spec: PipelineSpec; cache: CachePolicy },
  frame: ActivityFrame,
  only?: (name: string) => boolean,
): Promise<IngestOutput['sources']> {
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const { data, privacy } = spec;
  return withDatabase(frame, async (database) => {
    const options = {
      ...sourceOptions(deps.config, scratchDir, frame.signal),
      ...remembering(deps.config, store.keyring, privacy),
      events: eventReader(deps, { database, store }),
    };
    const without = (name: string, relation: string, target: string) =>
      withoutSuppressed(store, database, spec, name, relation, target);
    const context = { database, store, options, personal: new PersonalColumns(privacy), without };
    const recorded = new RecordedRows(store);
    const taken: IngestOutput['sources'] = [];
    for (const [name, source] of Object.entries(data.sources)) {
      if (only && !only(name)) continue;
      const snapshot = await unchangedOrTaken(deps, context, spec, cache, name, source);
      taken.push({ name, ...snapshot });
      await recorded.source(spec, { name, ...snapshot });
      requireFewColumns(taken);
      frame.report({ snapshots: taken.length });
    }
    return taken;
  });
}

/** Sources travel with their columns: better now than after all of them were read. */
function requireFewColumns(taken: IngestOutput['sources']): void {
  const columns = taken.reduce((sum, { snapshot }) => sum + snapshot.columns.length, 0);
  if (columns > MAX_SOURCE_COLUMNS)
    throw new PerennialError(
      'ColumnInvalid',
      `data.sources: the sources up to ${taken.at(-1)?.name} have ${columns} columns together, at most ${MAX_SOURCE_COLUMNS} are supported; leave out what no model needs`,
    );
}

/** What decides which people are left out of a source. */
async function suppressedIn(store: ArtifactStore, spec: PipelineSpec, source: string): Promise<unknown> {
  if (spec.privacy.subject.length === 0) return null;
  return { pipeline: spec.name, source, certificates: await new Suppressions(store).inForce(spec.name) };
}

/** A source's snapshot: from the step cache where the source says that it has not changed. */
async function unchangedOrTaken(
  deps: ActivityDependencies,
  context: TakeContext,
  spec: PipelineSpec,
  policy: CachePolicy,
  name: string,
  source: Source,
): Promise<TakenSource> {
  const take = async (): Promise<TakenSource> => {
    const { identity: _identity, ...taken } = await takeSource(
      context,
      spec.name,
      runOfActivity(),
      name,
      source,
    );
    return taken;
  };
  if (policy.mode === 'off' || source.pin !== undefined || source.incremental !== undefined) return take();
  const identity =
    'events' in source
      ? eventsIdentity(await readEventLog(deps, source.events))
      : await identifySource(context.database, name, source, context.options);
  if (identity === null) return take();
  const { output } = await cachedStage(
    deps,
    {
      stage: 'source',
      codeVersion: 4,
      pipeline: spec.name,
      input: {
        source,
        identity,
        // What is personal decides about encryption, and who was erased about the rows.
        privacy: spec.privacy,
        suppressed: await suppressedIn(context.store, spec, name),
      },
      policy,
      output: takenSource,
    },
    async () => {
      const { identity: read, ...taken } = await takeSource(
        context,
        spec.name,
        runOfActivity(),
        name,
        source,
      );
      if (read !== identity)
        throw new PerennialError(
          'SourceUnreadable',
          `source ${name}: it changed while it was read; it is read again`,
          true,
        );
      return taken;
    },
  );
  return output;
}
