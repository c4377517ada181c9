import { join } from 'node:path';
import { z } from 'zod';
import type { FoundRows, Unsearched } from '../contracts/erasure.ts';
import { PerennialError } from '../contracts/errors.ts';
import { type PipelineSpec, pipelineSpec } from '../contracts/spec/pipeline.ts';
import { withoutParquetRows } from '../lib/duckdb/parquet-rows.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import type { Person } from '../lib/erasure/person.ts';
import { personRows } from '../lib/erasure/person-rows.ts';
import type { PersonalStore, SearchTools, StorePlan } from '../lib/erasure/personal-store.ts';
import { inFolder } from '../lib/erasure/search-folder.ts';
import { subjectColumns } from '../lib/erasure/subject-column.ts';
import { FeatureRecords, idsBySpec } from '../lib/feature-store/feature-records.ts';
import { type Surplus, surplusOf } from '../lib/feature-store/surplus.ts';
import { snapshotRelation } from '../lib/incremental/snapshots.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { materialized, type ViewSources, viewsOf } from './kept-views.ts';
import { withDatabase } from './with-database.ts';

/** One view that is brought to where its sources are. */
const viewStep = z.strictObject({ pipeline: z.string(), view: z.string() });
type ViewStep = z.infer<typeof viewStep>;

/**
 * The online feature store. Its records name nobody, and an event of the person may be kept for another entity: so each
 * view is held against its sources without the person's rows, and what it has beyond them goes. The sources come first
 * in an erasure, then the store is brought to where they are, over the stretch of time that it has. That no bytes of it
 * stay in its files is seen to when the erasure is certified.
 */
export class KeptFeatures implements PersonalStore {
  readonly name = 'features';

  constructor(
    private readonly deps: ActivityDependencies,
    private readonly frame: ActivityFrame,
  ) {}

  async plan(person: Person, tools: SearchTools): Promise<StorePlan> {
    const found: FoundRows[] = [];
    const unsearched: Unsearched[] = [];
    const steps: ViewStep[] = [];
    for (const { pipeline, spec, ids } of await this.#kept((name) => person.concerns([name]))) {
      tools.signal.throwIfAborted();
      const placeOf = (id: string) => ({
        store: this.name,
        kind: `view ${viewIn(id)}`,
        pipelines: [pipeline],
      });
      try {
        for (const { view, surplus } of await this.#held(spec, ids, person, tools)) {
          if (surplus?.differs === false) continue;
          steps.push({ pipeline, view });
          if (surplus && surplus.events > 0)
            found.push({ ...placeOf(view), places: surplus.buckets, rows: surplus.events });
        }
      } catch (error) {
        if (!(error instanceof PerennialError) || error.retryable) throw error;
        for (const id of ids) unsearched.push({ ...placeOf(id), places: 1, why: error.message });
      }
    }
    return { found, unsearched, steps };
  }

  /** What a step does follows from what the sources are when it is taken. */
  async isCurrent(): Promise<boolean> {
    return true;
  }

  async erase(step: unknown): Promise<void> {
    const { pipeline, view: id } = viewStep.parse(step);
    const store = await this.deps.features();
    const stored = (await store.views()).find((view) => view.store === id);
    // What was never complete serves nobody.
    if (!stored) return store.removeView(id);
    for (const { spec } of await this.#kept((name) => name === pipeline, id)) {
      const { sources, views } = await viewsOf(this.deps, spec, this.frame);
      for (const view of views)
        if (view.id === id)
          await materialized(this.deps, sources, view, { pipeline, until: stored.until }, this.frame);
    }
  }

  /** The views in the store of pipelines whose rows are about people, by the spec that has them. */
  async #kept(
    isWanted: (pipeline: string) => boolean,
    only?: string,
  ): Promise<{ pipeline: string; spec: PipelineSpec; ids: Set<string> }[]> {
    const artifacts = await this.deps.store();
    const records = (await new FeatureRecords(artifacts.documents).all()).filter(({ pipeline }) =>
      isWanted(pipeline),
    );
    // Where nothing was ever kept, no store is opened.
    if (records.length === 0) return [];
    const stored = (await (await this.deps.features()).backend.views())
      .map(({ view }) => view)
      .filter((view) => only === undefined || view === only);
    const kept = [];
    for (const record of records)
      for (const { specRef, ids } of idsBySpec(record, stored)) {
        const spec = pipelineSpec.parse(await artifacts.json(specRef));
        if (spec.privacy.subject.length > 0) kept.push({ pipeline: record.pipeline, spec, ids });
      }
    return kept;
  }

  /** Holds views against the sources without the person. */
  async #held(
    spec: PipelineSpec,
    ids: ReadonlySet<string>,
    person: Person,
    tools: SearchTools,
  ): Promise<{ view: string; surplus: Surplus | undefined }[]> {
    const { sources, views } = await viewsOf(this.deps, spec, this.frame);
    const store = await this.deps.features();
    return inFolder(tools, async (folder) => {
      const without = await withoutPerson(spec, sources, person, { ...tools, scratchDir: folder });
      return withDatabase(
        this.frame,
        async (database) => {
          for (const { name, files } of without) await database.view(name, snapshotRelation(files));
          const all = [];
          for (const view of views)
            if (ids.has(view.id))
              all.push({ view: view.id, surplus: await surplusOf(database, store, view) });
          return all;
        },
        without.flatMap(({ files }) => files),
      );
    });
  }
}

/** The name of a view by its id in the store. */
const viewIn = (id: string): string => id.split('/').at(-2) ?? id;

/** The files of sources, those with rows of the person without them. */
async function withoutPerson(
  spec: PipelineSpec,
  sources: ViewSources,
  person: Person,
  { database, scratchDir }: Pick<SearchTools, 'database' | 'scratchDir'>,
): Promise<ViewSources> {
  const others: ViewSources = [];
  for (const { name, files } of sources) {
    const kept: string[] = [];
    for (const [place, file] of files.entries()) {
      const columns = await database.columns(`read_parquet(${quoteLiteral(file)})`);
      const subject = subjectColumns(
        spec,
        columns.map((column) => column.name),
        { state: 'raw', source: name },
      );
      const asked = person.columnsOf(subject);
      const gone = asked.length === 0 ? [] : await personRows(database, file, asked, person);
      const target = join(scratchDir, `${name}-${place}.parquet`);
      if (gone.length > 0) await withoutParquetRows(database, file, target, gone);
      kept.push(gone.length > 0 ? target : file);
    }
    others.push({ name, files: kept });
  }
  return others;
}
