import type { DataActivities, EvaluationActivities } from '../contracts/activities.ts';
import { SNAPSHOT_MANIFEST_TYPE, snapshotManifest } from '../contracts/incremental.ts';
import type { ArtifactRef, TableRef } from '../contracts/refs.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { IngestOutput, PreparedFold } from '../contracts/stages.ts';
import { validationReport } from '../contracts/validation-report.ts';
import { LogSubjects } from '../lib/erasure/log-subjects.ts';
import { exampleRows } from '../lib/erasure/rewrite.ts';
import { RowCatalogue, type RowsOf } from '../lib/erasure/row-catalogue.ts';
import { type SubjectSpec, subjectColumns, type TableState } from '../lib/erasure/subject-column.ts';
import { Secrets } from '../lib/secrets.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';

type Input<K extends keyof DataActivities> = Parameters<DataActivities[K]>[0];
type Output<K extends keyof DataActivities> = Omit<Awaited<ReturnType<DataActivities[K]>>, 'cache'>;

const RAW: TableState = { state: 'raw' };
const protectedState = (): TableState => ({ state: 'protected', secrets: new Secrets(process.env) });

/** Writes into the catalogue what rows of people a stage has stored, so that an erasure finds them. */
export class RecordedRows {
  readonly #catalogue: RowCatalogue;

  constructor(private readonly store: ArtifactStore) {
    this.#catalogue = new RowCatalogue(store.documents);
  }

  /** A source as it was taken: at once, since it stays in the store also where the run goes no further. */
  async source(
    spec: PipelineSpec,
    { name, snapshot }: Pick<IngestOutput['sources'][number], 'name' | 'snapshot'>,
  ): Promise<void> {
    const state: TableState = { state: 'raw', source: name };
    for (const artifact of await this.#segments(spec, snapshot))
      await this.#table(spec, 'snapshot', { ...snapshot, artifact }, state);
    const source = spec.data.sources[name];
    if (source === undefined || !('events' in source)) return;
    const names = snapshot.columns.map((column) => column.name);
    await new LogSubjects(this.store.documents).record(
      spec,
      source.events,
      subjectColumns(spec, names, state),
    );
  }

  async ingest({ spec }: Input<'ingest'>, { table }: Output<'ingest'>): Promise<void> {
    await this.#table(spec, 'joined', table, RAW);
  }

  async validate(
    { spec, ingest }: Pick<Input<'validate'>, 'spec' | 'ingest'>,
    { table, quarantine, report, page }: Output<'validate'>,
  ): Promise<void> {
    await this.#table(spec, 'validated', table, RAW);
    if (quarantine) await this.#table(spec, 'quarantine', quarantine, RAW);
    if (spec.privacy.subject.length === 0) return;
    const { sha256 } = ingest.table.artifact;
    const shown = exampleRows(validationReport.parse(await this.store.json(report)));
    await this.#catalogue.record(spec, {
      artifact: report,
      kind: 'report',
      format: 'report',
      rowsOf: { sha256, rows: shown },
    });
    // Its profile shows extreme values, which may be those of anybody.
    await this.#catalogue.record(spec, { artifact: page, kind: 'page', format: 'page', rowsOf: { sha256 } });
  }

  async protect(
    { spec, validate }: Pick<Input<'protect'>, 'spec' | 'validate'>,
    { table }: Output<'protect'>,
  ): Promise<void> {
    const from = validate.table.artifact.sha256;
    // Without any action it is the same table.
    if (table.artifact.sha256 !== from) await this.#table(spec, 'protected', table, protectedState(), from);
  }

  async split({ spec }: Pick<Input<'split'>, 'spec'>, output: Output<'split'>): Promise<void> {
    for (const part of ['train', 'validation', 'test'] as const)
      await this.#table(spec, part, { ...output[part], columns: output.columns }, protectedState());
  }

  async prepare(
    { spec, split }: Pick<Input<'prepare'>, 'spec' | 'split'>,
    { variants, crossValidation }: Output<'prepare'>,
  ): Promise<void> {
    const matrices = async (
      made: Pick<PreparedFold, 'train' | 'validation'> | undefined,
      rows: Record<'train' | 'validation', RowsOf>,
    ): Promise<void> => {
      for (const part of ['train', 'validation'] as const)
        for (const kind of ['features', 'labels', 'weights'] as const) {
          const artifact = made?.[part][kind];
          if (artifact)
            await this.#catalogue.record(spec, { artifact, kind, format: 'npy', rowsOf: rows[part] });
        }
    };
    for (const features of Object.values(variants))
      await matrices(features, {
        train: { sha256: split.train.artifact.sha256 },
        validation: { sha256: split.validation.artifact.sha256 },
      });
    if (!crossValidation) return;
    const { table, folds } = crossValidation;
    await this.#table(spec, 'folds', { ...table, columns: split.columns }, protectedState());
    const { sha256 } = table.artifact;
    for (const [index, { train, validation }] of folds.entries())
      for (const features of Object.values(variants))
        await matrices(features.folds[index], {
          train: { sha256, ranges: train },
          validation: { sha256, ranges: [validation] },
        });
  }

  /**
   * Answers of a model as `.npy`, one for each row of a matrix that was recorded, such as those of a fold's model for the
   * rows that the fold is judged on: they go with the rows of that matrix.
   *
   * @param features of which they are the answers, for example `folds[i].validation.features`
   */
  async answers(spec: SubjectSpec, answers: ArtifactRef, features: ArtifactRef): Promise<void> {
    const { sha256 } = await this.store.resolve(features);
    await this.#catalogue.record(spec, {
      artifact: answers,
      kind: 'answers',
      format: 'npy',
      rowsOf: { sha256 },
    });
  }

  /** @param rows of the test part, in the order of the samples */
  async samples(
    { spec, split }: Pick<Parameters<EvaluationActivities['evaluate']>[0], 'spec' | 'split'>,
    samples: ArtifactRef,
    rows: number[],
  ): Promise<void> {
    await this.#catalogue.record(spec, {
      artifact: samples,
      kind: 'samples',
      format: 'samples',
      rowsOf: { sha256: split.test.artifact.sha256, rows },
    });
  }

  async #table(
    spec: SubjectSpec,
    kind: string,
    { artifact, columns }: Pick<TableRef, 'artifact' | 'columns'>,
    state: TableState,
    rowsOf?: string,
  ): Promise<void> {
    const names = columns.map(({ name }) => name);
    await this.#catalogue.record(spec, {
      artifact,
      kind,
      subject: spec.privacy.subject.length === 0 ? [] : subjectColumns(spec, names, state),
      ...(rowsOf === undefined ? {} : { rowsOf: { sha256: rowsOf } }),
    });
  }

  /** The tables of a snapshot: of an incremental source one for each time that it was read. */
  async #segments(
    { privacy }: SubjectSpec,
    { artifact }: Pick<TableRef, 'artifact'>,
  ): Promise<ArtifactRef[]> {
    if (artifact.mediaType !== SNAPSHOT_MANIFEST_TYPE || privacy.subject.length === 0) return [artifact];
    const { segments } = snapshotManifest.parse(await this.store.json(artifact));
    return segments.map((segment) => segment.artifact);
  }
}
