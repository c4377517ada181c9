import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchActivities, BatchFeatures } from '../contracts/batch-scoring.ts';
import { PerennialError } from '../contracts/errors.ts';
import type { JoinMoment } from '../contracts/feature-store.ts';
import type { ServedView } from '../contracts/serving.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { ExtendedFile, JoinedFile } from '../lib/data/join.ts';
import { joinedAside } from '../lib/feature-store/join-aside.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { viewsOf } from './kept-views.ts';
import { lineageOfVersion, specOfThen } from './version-lineage.ts';

/** The rows of a batch, and whose views they need. */
interface BatchOf extends Pick<Parameters<BatchActivities['takeBatch']>[0], 'version' | 'at'> {
  model: string;
  views: readonly ServedView[];
}

/** The feature views of a batch: those whose columns its rows have are taken as they are, others are joined. */
export class BatchViews {
  #told: BatchFeatures | undefined;
  #joined: string[] = [];

  constructor(
    private readonly deps: ActivityDependencies,
    private readonly batch: BatchOf,
    private readonly frame: ActivityFrame,
  ) {}

  /** Where the inputs came from; `undefined` for a model without views. */
  get told(): BatchFeatures | undefined {
    return this.#told;
  }

  /** Columns of the table that were joined. */
  get joined(): readonly string[] {
    return this.#joined;
  }

  /**
   * Writes the table again with the views that its rows do not bring: point in time, by the sources and the definitions
   * of the spec that the version was trained by, as they are now and without people who were erased.
   *
   * @throws PerennialError `ColumnMissing` where the rows have neither the columns of a view nor its key; what reading
   *   the sources and joining them throws
   */
  async extend(table: Omit<JoinedFile, 'sources'>): Promise<ExtendedFile> {
    const names = new Set(table.columns.map(({ name }) => name));
    const isGiven = ({ columns }: ServedView): boolean => columns.some(({ input }) => names.has(input));
    const given = this.batch.views.filter(isGiven);
    const wanted = this.batch.views.filter((view) => !isGiven(view));
    for (const view of wanted) requireKeys(view, names);
    this.#told = { given: namesOf(given), joined: namesOf(wanted), asOf: null };
    if (wanted.length === 0) return { path: table.path };
    const spec = await this.#specOf(wanted);
    const { timestamp } = spec.columns;
    const asOf: JoinMoment =
      timestamp !== undefined && names.has(timestamp) ? { column: timestamp } : { at: this.batch.at };
    this.#told = { ...this.#told, asOf };
    this.#joined = wanted.flatMap(({ columns }) => columns.map(({ input }) => input));
    const { sources, views } = await this.#eventsOf(spec);
    const { signal, duckdbMemory, report } = this.frame;
    await joinedAside(
      {
        sources,
        views: spec.featureViews,
        columns: this.#joined,
        tablePath: table.path,
        moment: asOf,
        outPath: table.outPath,
        spillDir: join(await this.frame.scratch(), 'features-spill'),
        ...(duckdbMemory === undefined ? {} : { memoryLimit: duckdbMemory }),
      },
      signal,
      (rows) => report({ joined: rows }),
    );
    return { path: table.outPath, encrypt: views.some(({ personal }) => personal) };
  }

  /** The spec that the version was trained by, with these views alone. */
  async #specOf(wanted: readonly ServedView[]): Promise<PipelineSpec> {
    const { model, version } = this.batch;
    const lineage = await lineageOfVersion(this.deps.mlflow(), model, version);
    const spec = specOfThen(lineage, this.#ofVersion, lineage.spec.content);
    const names = namesOf(wanted);
    const views = Object.entries(spec.featureViews).filter(([name]) => names.includes(name));
    return { ...spec, featureViews: Object.fromEntries(views) };
  }

  async #eventsOf(spec: PipelineSpec): ReturnType<typeof viewsOf> {
    // Beside the files of the rows, whose source may have the same name.
    const own = join(await this.frame.scratch(), 'views');
    await mkdir(own, { recursive: true, mode: 0o700 });
    try {
      return await viewsOf(this.deps, spec, { ...this.frame, scratch: async () => own });
    } catch (error) {
      if (!(error instanceof PerennialError)) throw error;
      const words = `the feature views of ${this.#ofVersion} cannot be joined: ${error.message}`;
      throw new PerennialError(error.code, words, error.retryable, { cause: error });
    }
  }

  get #ofVersion(): string {
    return `${this.batch.model}/${this.batch.version}`;
  }
}

const namesOf = (views: readonly ServedView[]): string[] => views.map(({ name }) => name);

function requireKeys({ name, entity, columns }: ServedView, names: ReadonlySet<string>): void {
  const missing = entity.filter((column) => !names.has(column));
  if (missing.length === 0) return;
  throw new PerennialError(
    'ColumnMissing',
    `the model takes features of view ${name}, and the rows have neither its key (${missing.join(', ')} missing) nor its columns, such as ${columns[0]?.input}; add ${missing.join(', ')} to the source, or select it in sql`,
  );
}
