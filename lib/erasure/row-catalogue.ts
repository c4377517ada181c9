import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type ArtifactRef, artifactRef, rowRange } from '../../contracts/refs.ts';
import { type Documents, documentsBelow, updateDocument } from '../store/documents.ts';
import { type SubjectColumn, type SubjectSpec, subjectColumn } from './subject-column.ts';

/**
 * How rows stand in an artifact: a Parquet table; a `.npy` array, one row after the other; `sampleSet` as JSON; the
 * examples of a `validationReport` as JSON, counted through all rules; the same as a page.
 */
export const rowFormat = z.enum(['parquet', 'npy', 'samples', 'report', 'page']);
export type RowFormat = z.infer<typeof rowFormat>;

/** Rows that are those of another artifact: all of them in the same order, or these ones, or those of these ranges. */
const rowsOf = z.strictObject({
  sha256: z.string(),
  /** Counted from 0. */
  rows: z.array(z.number().int().nonnegative()).optional(),
  ranges: z.array(rowRange).optional(),
});
export type RowsOf = z.infer<typeof rowsOf>;

/** A copy of an artifact in an MLflow run. */
const mlflowCopy = z.strictObject({ runId: z.string(), path: z.string() });
export type MlflowCopy = z.infer<typeof mlflowCopy>;

export const catalogueEntry = z.strictObject({
  artifact: artifactRef,
  format: rowFormat,
  /** What it is, for people: `snapshot`, `joined`, `quarantine`, `train`, `features`, … */
  kinds: z.array(z.string()),
  pipelines: z.array(z.string()),
  /** The columns by which a person is found in it. */
  subject: z.array(subjectColumn),
  /** Where it has no such column: whose rows it holds. */
  rowsOf: z.array(rowsOf),
  copies: z.array(mlflowCopy),
  /** Whoever is about to forget it; see {@link RowCatalogue.forget}. */
  doomed: z.string().optional(),
});
export type CatalogueEntry = z.infer<typeof catalogueEntry>;

/** An artifact that holds rows of people; see {@link RowCatalogue.record}. */
export interface RecordedRows {
  artifact: ArtifactRef;
  /** One word, for people: `snapshot`, `joined`, `validated`, `quarantine`, `protected`, `train`, `features`, … */
  kind: string;
  /** Default `parquet`. */
  format?: RowFormat;
  /** From `subjectColumns`; for what has columns. */
  subject?: readonly SubjectColumn[];
  /** For what has no such column, or whose pseudonyms might not be found again. */
  rowsOf?: RowsOf;
}

const PREFIX = 'catalogue/';

/**
 * Which artifacts hold rows of people, and how one person's rows are found in them: a document for each, which stages
 * write after they stored one. What stands in it names nobody. A new kind of artifact with one row of another artifact
 * in each of its own, such as out-of-fold answers, is one call with `rowsOf`; its rows go with those of that artifact.
 *
 * @example
 * const catalogue = new RowCatalogue(store.documents);
 * await catalogue.record(spec, {
 *   artifact: train, kind: 'train', subject: subjectColumns(spec, names, { state: 'protected', secrets }),
 * });
 * await catalogue.record(spec, { artifact: features, kind: 'features', format: 'npy', rowsOf: { sha256: train.sha256 } });
 * await catalogue.record(spec, { artifact: answers, kind: 'answers', format: 'npy', rowsOf: { sha256: features.sha256 } });
 */
export class RowCatalogue {
  constructor(private readonly documents: Documents) {}

  /**
   * Writes down an artifact of a pipeline; nothing for a pipeline without `privacy.subject`. The same once more
   * changes nothing; another pipeline or another table with the same bytes is added.
   */
  async record(spec: SubjectSpec, rows: RecordedRows): Promise<void> {
    if (spec.privacy.subject.length === 0) return;
    await this.put({
      artifact: rows.artifact,
      format: rows.format ?? 'parquet',
      kinds: [rows.kind],
      pipelines: [spec.name],
      subject: [...(rows.subject ?? [])],
      rowsOf: rows.rowsOf ? [rows.rowsOf] : [],
      copies: [],
    });
  }

  /** Notes a copy in MLflow, of an artifact that was recorded; of any other one nothing is noted. */
  async recordCopy({ sha256 }: ArtifactRef, copy: MlflowCopy): Promise<void> {
    const found = await this.of(sha256);
    if (found) await this.put({ ...found, copies: [copy] });
  }

  /** Adds an entry to what is known of its artifact. */
  async put(entry: CatalogueEntry): Promise<void> {
    await updateDocument(this.documents, PREFIX + entry.artifact.sha256, (value) => {
      if (value === undefined) return catalogueEntry.parse(entry);
      // Whoever wants to forget it finds that it changed.
      const { doomed, ...known } = catalogueEntry.parse(value);
      const merged: CatalogueEntry = {
        ...known,
        kinds: union(known.kinds, entry.kinds),
        pipelines: union(known.pipelines, entry.pipelines),
        subject: union(known.subject, entry.subject),
        rowsOf: union(known.rowsOf, entry.rowsOf),
        copies: union(known.copies, entry.copies),
      };
      const same = doomed === undefined && JSON.stringify(merged) === JSON.stringify(known);
      return same ? undefined : merged;
    });
  }

  /** Puts an entry in the place of what was known of its artifact. */
  async replace(entry: CatalogueEntry): Promise<void> {
    await this.documents.write(PREFIX + entry.artifact.sha256, catalogueEntry.parse(entry));
  }

  async of(sha256: string): Promise<CatalogueEntry | undefined> {
    const found = await this.documents.read(PREFIX + sha256);
    return found && catalogueEntry.parse(found.value);
  }

  /** All entries, by digest, in the order of their digests. */
  async all(): Promise<Map<string, CatalogueEntry>> {
    const found: CatalogueEntry[] = [];
    for await (const { value } of documentsBelow(this.documents, PREFIX))
      found.push(catalogueEntry.parse(value));
    found.sort((a, b) => (a.artifact.sha256 < b.artifact.sha256 ? -1 : 1));
    return new Map(found.map((entry) => [entry.artifact.sha256, entry]));
  }

  /**
   * Forgets an artifact that the garbage collector deleted, but not one that came back: stages store first and record
   * then, so either it is seen in the store once the entry was marked, or recording it takes the mark away. Wherever
   * this is broken off, the entry stays.
   *
   * @param isStored whether the artifact is in the store again
   * @returns whether it is forgotten
   */
  async forget(sha256: string, isStored: (artifact: ArtifactRef) => Promise<boolean>): Promise<boolean> {
    const key = PREFIX + sha256;
    const found = await this.documents.read(key);
    if (!found) return true;
    const entry = catalogueEntry.parse(found.value);
    // Unlike any other mark: versions are of the content, and two collectors may be at it.
    const marked = await this.documents.write(
      key,
      { ...entry, doomed: randomUUID() },
      { ifVersion: found.version },
    );
    if (marked === undefined) return false;
    if (!(await isStored(entry.artifact))) return this.documents.remove(key, { ifVersion: marked });
    await this.put(entry);
    return false;
  }

  /** To be called when an artifact is gone for good. */
  async remove(sha256: string): Promise<void> {
    await this.documents.remove(PREFIX + sha256);
  }
}

/** Without doubles, in the order in which they came. */
function union<T>(known: readonly T[], added: readonly T[]): T[] {
  const all = new Map([...known, ...added].map((item) => [JSON.stringify(item), item]));
  return [...all.values()];
}
