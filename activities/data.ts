import { createHash } from 'node:crypto';
import { version as duckdbVersion } from '@duckdb/node-api';
import type { DataActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import type { IngestOutput } from '../contracts/stages.ts';
import { checkExpectations } from '../lib/data/expectations.ts';
import { joinSources } from '../lib/data/join.ts';
import { snapshotSource } from '../lib/data/snapshot.ts';
import { findSourceFiles } from '../lib/data/source-files.ts';
import { splitTable } from '../lib/data/split.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { Secrets } from '../lib/secrets.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { type ActivityFrame, framed } from './frame.ts';
import { prepare } from './prepare.ts';
import { withDatabase } from './with-database.ts';

export function dataActivities(deps: ActivityDependencies): DataActivities {
  return {
    loadSpec: framed(deps.config, async ({ specRef }) => {
      const spec = await (await deps.store()).json(specRef);
      if (typeof spec !== 'object' || spec === null || Array.isArray(spec))
        throw new PerennialError(
          'SpecInvalid',
          `artifact ${specRef.uri} is not a pipeline spec: expected a JSON object`,
        );
      return { spec: { ...spec } };
    }),

    ingest: framed(deps.config, (input, frame) => ingest(deps, input, frame)),

    validate: framed(deps.config, async ({ table, spec }, frame) => {
      const path = await (await deps.store()).path(table.artifact);
      const results = await withDatabase(frame, (database) =>
        checkExpectations(database, `read_parquet(${quoteLiteral(path)})`, table, spec.expectations),
      );
      const failed = results.filter((result) => !result.passed && result.severity === 'error');
      if (failed.length > 0)
        throw new PerennialError(
          'ValidationFailed',
          `${failed.length} of ${results.length} expectations failed: ${failed.map((result) => `${result.expectation}: ${result.violations} of ${result.rows} rows`).join('; ')}`,
        );
      return { rows: table.rows, results };
    }),

    split: framed(deps.config, async ({ table, spec }, frame) => {
      const store = await deps.store();
      const path = await store.path(table.artifact);
      return withDatabase(frame, (database, scratchDir) =>
        splitTable(database, `read_parquet(${quoteLiteral(path)})`, table, spec, store, scratchDir),
      );
    }),

    prepare: framed(deps.config, (input, frame) => prepare(deps, input, frame)),
  };
}

async function ingest(
  deps: ActivityDependencies,
  { data, target }: Parameters<DataActivities['ingest']>[0],
  frame: ActivityFrame,
): Promise<IngestOutput> {
  const store = await deps.store();
  const scratchDir = await frame.scratch();
  const secrets = new Secrets(process.env);
  const sources = await withDatabase(frame, async (database) => {
    const taken: (IngestOutput['sources'][number] & { options: unknown })[] = [];
    for (const [name, source] of Object.entries(data.sources)) {
      const readable = { ...source, path: secrets.resolve(source.path) };
      const found = await findSourceFiles(database, name, readable, deps.config.sourceRoots);
      const snapshot = await snapshotSource(
        database,
        name,
        source,
        found,
        store,
        `${scratchDir}/${name}.parquet`,
      );
      taken.push({
        name,
        path: source.path,
        snapshot,
        sourceSha256: found.sha256,
        options: { ...source, path: undefined },
      });
      frame.report({ snapshots: taken.length });
    }
    return taken;
  }).catch((error: unknown) => {
    throw secrets.hide(error);
  });
  const joined = await joinSources(
    data,
    sources.map(({ name, snapshot }) => ({ name, snapshot })),
    {
      store,
      scratchDir,
      target,
      signal: frame.signal,
      memoryLimit: frame.duckdbMemory,
    },
  );
  const identity = {
    sources: sources.map(({ name, sourceSha256, options }) => ({ name, sourceSha256, options })),
    sql: data.sql ?? null,
    rowFilter: data.rowFilter,
    target,
    engine: `duckdb ${duckdbVersion()}`,
  };
  return {
    ...joined,
    digest: createHash('sha256').update(JSON.stringify(identity)).digest('hex'),
    sources: sources.map(({ options: _options, ...source }) => source),
  };
}
