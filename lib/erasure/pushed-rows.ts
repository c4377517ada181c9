import { join } from 'node:path';
import { z } from 'zod';
import type { FoundRows, Unsearched } from '../../contracts/erasure.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { type EventBatch, type EventLogHead, eventFormat } from '../../contracts/events.ts';
import { artifactRef } from '../../contracts/refs.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { rowsByFile, withoutBatchRows } from '../events/batch-rows.ts';
import { EventManifests } from '../events/event-manifests.ts';
import { eventTable } from '../events/event-table.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { LogSubjects } from './log-subjects.ts';
import type { Person } from './person.ts';
import { personRows } from './person-rows.ts';
import type { PersonalStore, SearchTools, StorePlan } from './personal-store.ts';
import { RowCatalogue } from './row-catalogue.ts';
import { inFolder } from './search-folder.ts';
import type { SubjectColumn } from './subject-column.ts';

/** One batch that is written anew. */
const batchStep = z.strictObject({
  artifact: artifactRef,
  format: eventFormat,
  /** Rows counted from 0, ascending. */
  gone: z.array(z.number().int().nonnegative()),
});
type BatchStep = z.infer<typeof batchStep>;

/** What identifies people in a log, and for whom it is looked through. */
interface LogSubject {
  columns: SubjectColumn[];
  pipelines: string[];
}

/**
 * The batches of event logs, as they were pushed. A log is read as a source reads it, so that a person is found in it by
 * the same values; the batches in which the person stands are written anew. The log goes on naming them by the ids and
 * digests of the push: a batch that is sent again is the same one still, and its old bytes cannot come back.
 */
export class PushedRows implements PersonalStore {
  readonly name = 'events';
  readonly #manifests: EventManifests;
  readonly #catalogue: RowCatalogue;
  readonly #subjects: LogSubjects;

  constructor(private readonly store: ArtifactStore) {
    this.#manifests = new EventManifests(store, store.documents);
    this.#catalogue = new RowCatalogue(store.documents);
    this.#subjects = new LogSubjects(store.documents);
  }

  async plan(person: Person, tools: SearchTools): Promise<StorePlan> {
    const found: FoundRows[] = [];
    const unsearched: Unsearched[] = [];
    /** By digest: the same rows may have been pushed under several ids, and to several logs. */
    const steps = new Map<string, BatchStep>();
    const commonColumns = await this.#commonColumns();
    for await (const head of this.#manifests.heads()) {
      tools.signal.throwIfAborted();
      const subject = await this.#subjectOf(head.log, person, commonColumns);
      if (!subject) continue;
      const { pipelines } = subject;
      const what = { store: this.name, kind: `event log ${head.log}`, pipelines };
      try {
        const batches = await this.#search(head, subject.columns, person, tools);
        if (batches === undefined) {
          // A log that no pipeline has told of, without any name for people: it holds none, as far as is known.
          if (pipelines.length > 0) unsearched.push({ ...what, places: head.batches, why: UNKNOWN_SUBJECT });
          continue;
        }
        const rows = batches.reduce((sum, { gone }) => sum + gone.length, 0);
        if (rows > 0) found.push({ ...what, places: batches.length, rows });
        for (const step of batches) steps.set(step.artifact.sha256, step);
      } catch (error) {
        if (!(error instanceof PerennialError) || error.retryable) throw error;
        unsearched.push({ ...what, places: head.batches, why: error.message });
      }
    }
    return { found, unsearched, steps: [...steps.values()] };
  }

  async isCurrent(step: unknown): Promise<boolean> {
    const { artifact } = batchStep.parse(step);
    return (await this.store.erasures.of(artifact.sha256)) === undefined && this.store.has(artifact);
  }

  async erase(step: unknown, certificate: string, tools: SearchTools): Promise<void> {
    const { artifact, format, gone } = batchStep.parse(step);
    if ((await this.store.finishErasure(artifact.sha256)) || !(await this.store.has(artifact))) return;
    const replacement = await inFolder(tools, async (folder) => {
      const store = this.store.within(folder);
      const target = join(folder, 'rewritten');
      await withoutBatchRows(tools.database, format, await store.path(artifact), target, gone);
      // Where somebody else who finishes the same plan was faster, what was read may have taken its place already.
      if (await this.store.erasures.of(artifact.sha256)) return undefined;
      return store.putFile(target, artifact.mediaType, { encrypt: true });
    });
    if (replacement === undefined) return;
    await this.store.replace(artifact.sha256, replacement, { certificate });
  }

  /**
   * In a log that no pipeline with `privacy.subject` has read yet, people are looked for under the names that other
   * pipelines have for them.
   */
  async #subjectOf(
    log: string,
    person: Person,
    commonColumns: readonly SubjectColumn[],
  ): Promise<LogSubject | undefined> {
    const known = await this.#subjects.of(log);
    if (!known) return { columns: [...commonColumns], pipelines: [] };
    const pipelines = Object.keys(known).filter((pipeline) => person.concerns([pipeline]));
    if (pipelines.length === 0) return undefined;
    return { columns: unique(pipelines.flatMap((pipeline) => known[pipeline] ?? [])), pipelines };
  }

  /** @returns the batches that hold the person; `undefined` where the log has no column that identifies people */
  async #search(
    head: EventLogHead,
    subject: readonly SubjectColumn[],
    person: Person,
    tools: SearchTools,
  ): Promise<BatchStep[] | undefined> {
    const batches = await this.#manifests.batches(head);
    return inFolder(tools, async (folder) => {
      const { database } = tools;
      const store = this.store.within(folder);
      const table = await eventTable(database, batches, store, { folder, what: 'an event log' });
      if (table === undefined) return [];
      const names = await database.columns(`read_parquet(${quoteLiteral(table)})`);
      const present = subject.filter(({ column }) => names.some(({ name }) => name === column));
      if (present.length === 0) return undefined;
      const columns = person.columnsOf(present);
      const rows = columns.length === 0 ? [] : await personRows(database, table, columns, person);
      return rows.length === 0 ? [] : this.#byBatch(batches, store, rows, tools);
    });
  }

  /** Rows of the log as rows of its batches. */
  async #byBatch(
    batches: readonly EventBatch[],
    store: Pick<ArtifactStore, 'path'>,
    rows: readonly number[],
    { database }: SearchTools,
  ): Promise<BatchStep[]> {
    const filled = batches.filter(({ artifact }) => artifact.bytes > 0);
    const paths: string[] = [];
    for (const { artifact } of filled) paths.push(await store.path(artifact));
    const counts = await rowsByFile(database, filled[0]?.format ?? 'jsonl', paths);
    const steps = new Map<string, BatchStep>();
    let next = 0;
    let start = 0;
    for (const [i, { artifact, format }] of filled.entries()) {
      const end = start + (counts[i] ?? 0);
      const gone: number[] = [];
      for (let row = rows[next]; row !== undefined && row < end; row = rows[++next]) gone.push(row - start);
      if (gone.length > 0) steps.set(artifact.sha256, { artifact, format, gone });
      start = end;
    }
    if (next < rows.length)
      throw new PerennialError('ArtifactCorrupt', 'the batches of an event log have fewer rows than the log');
    return [...steps.values()];
  }

  /** What identifies people in the raw tables of any pipeline. */
  async #commonColumns(): Promise<SubjectColumn[]> {
    const entries = await this.#catalogue.all();
    return unique(
      [...entries.values()].flatMap(({ subject }) => subject.filter(({ key }) => key === undefined)),
    );
  }
}

const UNKNOWN_SUBJECT =
  'none of its columns is known to identify a person; name it under privacy.subjectIn of the spec, run the pipeline, then erase again';

const unique = (columns: readonly SubjectColumn[]): SubjectColumn[] => [
  ...new Map(columns.map((column) => [JSON.stringify(column), column])).values(),
];
