import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { version as duckdbVersion } from '@duckdb/node-api';
import type { DataActivities } from '../contracts/activities.ts';
import type { CachePolicy } from '../contracts/cache.ts';
import { PerennialError } from '../contracts/errors.ts';
import { MAX_SOURCE_COLUMNS } from '../contracts/payload-limits.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { Source } from '../contracts/spec/sources.ts';
import { type IngestOutput, ingestOutput } from '../contracts/stages.ts';
import { isVolatile } from '../domain/volatile-sql.ts';
import { joinSources } from '../lib/data/join.ts';
import { withoutSuppressed } from '../lib/erasure/suppressed-rows.ts';
import { Suppressions } from '../lib/erasure/suppressions.ts';
import { eventsIdentity } from '../lib/events/acquire.ts';
import { joinedAside } from '../lib/feature-store/join-aside.ts';
import type { JoinJob } from '../lib/feature-store/join-job.ts';
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
const joinedTable = ingestOutput.pick({ table: true, setAside: true, findings: true, views: true });

/** Snapshots of all sources, and the table that the spec's SQL makes of them. */
export async function ingest(
  deps: ActivityDependencies,
  { spec, cache: policy }: Parameters<DataActivities['ingest']>[0],
  frame: ActivityFrame,
): Promise<IngestOutput> {
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const { data, privacy } = spec;
  const { target } = spec.columns;
  const personal = new PersonalColumns(privacy);
  const sources = await withDatabase(frame, async (database) => {
    const options = {
      ...sourceOptions(deps.config, scratchDir, frame.signal),
      ...remembering(deps.config, store.keyring, privacy),
      events: eventReader(deps, { database, store }),
    };
    const without = (name: string, relation: string, target: string) =>
      withoutSuppressed(store, database, spec, name, relation, target);
    const recorded = new RecordedRows(store);
    const taken: IngestOutput['sources'] = [];
    for (const [name, source] of Object.entries(data.sources)) {
      const snapshot = await unchangedOrTaken(
        deps,
        { database, store, options, personal, without },
        spec,
        policy,
        name,
        source,
      );
      taken.push({ name, ...snapshot });
      await recorded.source(spec, { name, ...snapshot });
      requireFewColumns(taken);
      frame.report({ snapshots: taken.length });
    }
    return taken;
  });
  const hasViews = Object.keys(spec.featureViews).length > 0;
  const identity = {
    sources: sources.map(({ name, snapshot }) => ({ name, sha256: snapshot.artifact.sha256 })),
    sql: data.sql ?? null,
    rowFilter: data.rowFilter,
    target,
    ...(hasViews ? { featureViews: spec.featureViews, timestamp: spec.columns.timestamp } : {}),
  };
  const { output, cache } = await cachedStage(
    deps,
    {
      stage: 'ingest',
      codeVersion: 2,
      pipeline: spec.name,
      input: { ...identity, privacy },
      policy: sqlOf(spec).some(isVolatile) ? { mode: 'off' } : policy,
      output: joinedTable,
    },
    async () => {
      let views: IngestOutput['views'];
      const joined = await joinSources(data, sources, {
        store,
        scratchDir,
        target,
        personal,
        signal: frame.signal,
        memoryLimit: frame.duckdbMemory,
        ...(hasViews
          ? {
              extend: async (table) => {
                views = await withFeatures(spec, table, scratchDir, frame);
              },
            }
          : {}),
      });
      return { ...joined, ...(views ? { views } : {}) };
    },
  );
  return {
    ...output,
    digest: createHash('sha256')
      .update(JSON.stringify({ ...identity, engine: `duckdb ${duckdbVersion()}` }))
      .digest('hex'),
    sources,
    cache,
  };
}

/** The SQL that people wrote for the table. */
const sqlOf = ({ data, featureViews }: PipelineSpec): string[] => [
  data.sql ?? '',
  ...data.rowFilter.map(({ where }) => where),
  ...Object.values(featureViews).flatMap(({ events, features }) => [events, ...Object.values(features)]),
];

/** Writes the joined table with the columns of the feature views, each row with what was known before its time. */
async function withFeatures(
  { columns: { timestamp = '' }, featureViews }: PipelineSpec,
  { path, sources, outPath }: { path: string; sources: JoinJob['sources']; outPath: string },
  scratchDir: string,
  { signal, duckdbMemory, report }: ActivityFrame,
): Promise<IngestOutput['views']> {
  const { plans } = await joinedAside(
    {
      sources,
      views: featureViews,
      tablePath: path,
      timestamp,
      outPath,
      spillDir: join(scratchDir, 'features-spill'),
      ...(duckdbMemory === undefined ? {} : { memoryLimit: duckdbMemory }),
    },
    signal,
    (rows) => report({ rows }),
  );
  return plans;
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
