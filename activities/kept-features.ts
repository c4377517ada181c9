import { join } from 'node:path';
import { z } from 'zod';
import type { FoundRows, Unsearched } from '../contracts/erasure.ts';
import { PerennialError } from '../contracts/errors.ts';
import type { ViewPlan } from '../contracts/feature-store.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import { type PipelineSpec, pipelineSpec } from '../contracts/spec/pipeline.ts';
import { withoutParquetRows } from '../lib/duckdb/parquet-rows.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import type { Person } from '../lib/erasure/person.ts';
import { personRows } from '../lib/erasure/person-rows.ts';
import type { PersonalStore, SearchTools, StorePlan } from '../lib/erasure/personal-store.ts';
import { inFolder } from '../lib/erasure/search-folder.ts';
import { subjectColumns } from '../lib/erasure/subject-column.ts';
import { FeatureRecords, plansBySpec } from '../lib/feature-store/feature-records.ts';
import { readableDescription } from '../lib/feature-store/stored-view.ts';
import { type Surplus, surplusOf } from '../lib/feature-store/surplus.ts';
import { snapshotRelation } from '../lib/incremental/snapshots.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { type KeptView, materialized, type ViewSources } from './kept-views.ts';
import { viewSources } from './view-sources.ts';
import { withDatabase } from './with-database.ts';

/** Attempts before a source that is away is told as one that cannot be looked through. */
const TRIES = 3;

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
    for (const { pipeline, specRef, plans } of await this.#kept((name) => person.concerns([name]))) {
      tools.signal.throwIfAborted();
      const placeOf = (id: string) => ({
        store: this.name,
        kind: `view ${plans.get(id)?.name}`,
        pipelines: [pipeline],
      });
      try {
        for (const { view, surplus } of await this.#held(specRef, plans, person, tools)) {
          if (surplus?.differs === false) continue;
          steps.push({ pipeline, view });
          if (surplus && surplus.events > 0)
            found.push({ ...placeOf(view), places: surplus.buckets, rows: surplus.events });
        }
      } catch (error) {
        const why = this.#ofSources(error);
        for (const id of plans.keys()) unsearched.push({ ...placeOf(id), places: 1, why });
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
    const { backend } = await this.deps.features();
    const there = (await backend.views()).find(({ view }) => view === id);
    if (!there) return;
    const stored = readableDescription(there.description);
    // What was never complete, or cannot be read, serves nobody.
    if (!stored) return backend.remove(id);
    for (const { specRef, plans } of await this.#kept((name) => name === pipeline)) {
      const plan = plans.get(id);
      if (!plan) continue;
      try {
        const { sources } = await this.#specOf(specRef);
        const { until } = stored;
        await materialized(this.deps, sources, keptView(id, plan), { pipeline, until }, this.frame);
      } catch (error) {
        // An erasure that stood still here would be in the way of all others: it is told when it is looked through again.
        this.#ofSources(error);
      }
    }
  }

  /** Why sources cannot be read, now and in a little while. @throws all else */
  #ofSources(error: unknown): string {
    const away = error instanceof PerennialError && error.code === 'SourceUnavailable';
    if (error instanceof PerennialError && (!error.retryable || (away && this.frame.attempt > TRIES)))
      return error.message;
    throw error;
  }

  /** The views in the store, by pipelines and specs that have them. */
  async #kept(
    isWanted: (pipeline: string) => boolean,
  ): Promise<{ pipeline: string; specRef: ArtifactRef; plans: Map<string, ViewPlan> }[]> {
    const artifacts = await this.deps.store();
    const records = (await new FeatureRecords(artifacts.documents).all()).filter(({ pipeline }) =>
      isWanted(pipeline),
    );
    // Where nothing was ever kept, no store is opened.
    if (records.length === 0) return [];
    const stored = (await (await this.deps.features()).backend.views()).map(({ view }) => view);
    return records.flatMap(({ pipeline, definitions }) =>
      plansBySpec(definitions, stored).map((kept) => ({ pipeline, ...kept })),
    );
  }

  /** A spec as it was deployed, and the files of its sources, as they are now. */
  async #specOf(specRef: ArtifactRef): Promise<{ spec: PipelineSpec; sources: ViewSources }> {
    const parsed = pipelineSpec.safeParse(await (await this.deps.store()).json(specRef));
    if (!parsed.success)
      throw new PerennialError(
        'SpecInvalid',
        'the spec that it was deployed by is none of this version of Perennial; deploy the pipeline once more, then erase again',
      );
    const spec = parsed.data;
    const isPersonal = spec.privacy.subject.length > 0;
    return { spec, sources: isPersonal ? await viewSources(this.deps, spec, this.frame) : [] };
  }

  /** Holds views against the sources without the person; none of a pipeline whose rows are about nobody. */
  async #held(
    specRef: ArtifactRef,
    plans: ReadonlyMap<string, ViewPlan>,
    person: Person,
    tools: SearchTools,
  ): Promise<{ view: string; surplus: Surplus | undefined }[]> {
    const { spec, sources } = await this.#specOf(specRef);
    if (spec.privacy.subject.length === 0) return [];
    const store = await this.deps.features();
    return inFolder(tools, async (folder) => {
      const without = await withoutPerson(spec, sources, person, { ...tools, scratchDir: folder });
      return withDatabase(
        this.frame,
        async (database) => {
          for (const { name, files } of without) await database.view(name, snapshotRelation(files));
          const all = [];
          for (const [id, plan] of plans)
            all.push({ view: id, surplus: await surplusOf(database, store, keptView(id, plan)) });
          return all;
        },
        without.flatMap(({ files }) => files),
      );
    });
  }
}

/** A view of a pipeline whose rows are about people, as it was defined when it was first kept. */
const keptView = (id: string, plan: ViewPlan): KeptView => ({ id, plan, personal: true });

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
