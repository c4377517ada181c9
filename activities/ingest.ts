import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { version as duckdbVersion } from '@duckdb/node-api';
import type { DataActivities } from '../contracts/activities.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import { type IngestOutput, ingestOutput } from '../contracts/stages.ts';
import { isVolatile } from '../domain/volatile-sql.ts';
import { joinSources } from '../lib/data/join.ts';
import { joinedAside } from '../lib/feature-store/join-aside.ts';
import type { JoinJob } from '../lib/feature-store/join-job.ts';
import { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import { cachedStage } from './cached.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { takenSources } from './taken-sources.ts';

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
  const sources = await takenSources(deps, { spec, cache: policy }, frame);
  const hasViews = Object.keys(spec.featureViews).length > 0;
  const identity = {
    sources: sources.map(({ name, snapshot }) => ({ name, sha256: snapshot.artifact.sha256 })),
    sql: data.sql ?? null,
    rowFilter: data.rowFilter,
    target,
    ...(hasViews ? { featureViews: definitionsOf(spec), timestamp: spec.columns.timestamp } : {}),
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
                return { path: table.outPath };
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

/** The views without what is only of the online store. */
const definitionsOf = ({ featureViews }: PipelineSpec) =>
  Object.entries(featureViews).map(([name, { online, ...definition }]) => ({ name, ...definition }));

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
      moment: { column: timestamp },
      outPath,
      spillDir: join(scratchDir, 'features-spill'),
      ...(duckdbMemory === undefined ? {} : { memoryLimit: duckdbMemory }),
    },
    signal,
    (rows) => report({ rows }),
  );
  return plans;
}
