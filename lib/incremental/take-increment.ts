import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type {
  IncrementalHead,
  IncrementReport,
  SeenFile,
  Segment,
  Watermark,
} from '../../contracts/incremental.ts';
import { MEDIA_TYPES, type TableRef } from '../../contracts/refs.ts';
import { advanced, columnDrift, decideFiles, lowerBound } from '../../domain/incremental.ts';
import type { Database } from '../duckdb/database.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { Documents } from '../store/documents.ts';
import { readHead, writeHead } from './heads.ts';
import { type RowsBelow, untakenBelow } from './rows-below.ts';
import { putManifest, snapshotFiles, snapshotRelation } from './snapshots.ts';
import { AT, findUnseen, UNSEEN } from './unseen-rows.ts';
import { watermarkColumn } from './watermark-column.ts';

/** Another run that was faster makes this one begin again; more than a few at once are a mistake. */
const ATTEMPTS = 10;

/** Rows of a source, as an SQL relation in the database of {@link IncrementContext}. */
export interface SourceRows {
  relation: string;
  /** Where the source gave only rows from the bound on: those that it left out, counted. */
  below?: RowsBelow;
}

/** A file of a source that {@link IncrementBy.newFiles} may read. */
export interface SourceFile extends SeenFile {
  /** Local path of its bytes. */
  local: string;
}

/** How it is found out what is new. */
export type IncrementBy =
  | {
      watermark: string;
      /** How late a row may come, milliseconds; without it a row is never too old. */
      latenessMs?: number | undefined;
      /** @param bound rows below need not be read; `null`: all are wanted */
      read(bound: Watermark | null): Promise<SourceRows>;
    }
  | {
      /** All files that the source has now. */
      newFiles: readonly SourceFile[];
      read(files: readonly SourceFile[]): Promise<SourceRows>;
    };

/** What {@link takeIncrement} works with. */
export interface IncrementContext {
  database: Database;
  store: Pick<ArtifactStore, 'path' | 'json' | 'putFile' | 'putBytes'> & { documents: Documents };
  /** Folder for a file before it is stored. */
  scratchDir: string;
}

/** Whose increment it is. */
export interface IncrementOf {
  pipeline: string;
  source: string;
  /** The run that takes the rows, for example `<workflow id>/<run id>`: a second attempt gets the first one's answer. */
  run: string;
}

/** A snapshot of an incremental source: all that was ever taken, and what this read added. */
export interface Increment {
  snapshot: TableRef;
  report: IncrementReport;
}

/**
 * Takes what is new in a source and adds it, as a segment, to what earlier runs took. The snapshot is all segments.
 *
 * Safe against a crash anywhere: the segment is stored first, the head moves on by compare-and-set; an attempt that
 * finds that its run has taken its rows gives the same answer again. Of two runs at once one begins again.
 *
 * @throws PerennialError `SourceUnreadable` where read files have changed or columns do not fit the earlier ones,
 *   `ColumnMissing`, `ColumnInvalid`; `StoreUnavailable` where other runs are faster again and again
 */
export async function takeIncrement(
  context: IncrementContext,
  of: IncrementOf,
  by: IncrementBy,
): Promise<Increment> {
  const { documents } = context.store;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { head, version } = await readHead(
      documents,
      of.pipeline,
      of.source,
      'newFiles' in by ? 'files' : `watermark ${by.watermark}`,
    );
    const before = head.taken.find(({ run }) => run === of.run);
    if (before) return { snapshot: before.snapshot, report: before.report };
    const found =
      'newFiles' in by ? await byFiles(context, of, by, head) : await byWatermark(context, of, by, head);
    const segment = await storeSegment(context, of, found);
    const segments = segment ? [...head.segments, segment] : head.segments;
    const snapshot = await snapshotOf(context, of, segments);
    const report = { ...found.report, segments: segments.length, rows: snapshot.rows };
    const next = advanced(head, { run: of.run, segment, snapshot, report, files: found.files });
    // A read that took nothing changes nothing.
    if (!segment && found.files.length === 0) return { snapshot, report };
    if (await writeHead(documents, of.pipeline, of.source, next, version)) return { snapshot, report };
  }
  throw new PerennialError(
    'StoreUnavailable',
    `source ${of.source}: other runs of ${of.pipeline} read it at the same time, again and again; try later`,
    true,
  );
}

/** What a read found, before it is stored. */
interface Found {
  /** The rows to add, or `undefined`. */
  query: string | undefined;
  files: readonly SeenFile[];
  report: Omit<IncrementReport, 'segments' | 'rows'>;
}

const NOTHING = { new: 0, late: 0, tooOld: 0, withoutWatermark: 0, seenBefore: 0, newFiles: 0 } as const;

async function byFiles(
  { database }: IncrementContext,
  of: IncrementOf,
  by: Extract<IncrementBy, { newFiles: unknown }>,
  head: IncrementalHead,
): Promise<Found> {
  const { fresh, changed } = decideFiles(head.files, by.newFiles);
  if (changed.length > 0)
    throw new PerennialError(
      'SourceUnreadable',
      `source ${of.source}: ${changed.length} file(s) that were read before have other content now: ${changed.slice(0, 5).join(', ')}${changed.length > 5 ? ', …' : ''}; put their new rows into new files, or give the source another name to read all of it anew`,
    );
  const report = { ...NOTHING, mode: 'newFiles' as const, newFiles: fresh.length, watermark: null };
  if (fresh.length === 0) return { query: undefined, files: [], report };
  const { relation } = await by.read(fresh);
  await checkColumns(database, of, relation, head);
  const { rows } = await database.row(`SELECT count(*) AS rows FROM ${relation}`);
  return { query: `SELECT * FROM ${relation}`, files: fresh, report: { ...report, new: Number(rows) } };
}

async function byWatermark(
  { database, store }: IncrementContext,
  of: IncrementOf,
  by: Extract<IncrementBy, { watermark: unknown }>,
  head: IncrementalHead,
): Promise<Found> {
  const low = lowerBound(head.watermark, by.latenessMs);
  const { relation, below } = await by.read(low);
  const columns = await checkColumns(database, of, relation, head);
  const column = watermarkColumn(of.source, by.watermark, columns, by.latenessMs !== undefined);
  const source = `(SELECT *, ${column.sql} AS ${AT} FROM ${relation})`;
  const newest = head.watermark;
  const isNew = newest === null ? `${AT} IS NOT NULL` : `${AT} > ${column.literal(newest)}`;
  const seen = await database.row(
    `SELECT count_if(${isNew}) AS fresh, count_if(${AT} IS NULL) AS missing, CAST(max(${AT}) AS VARCHAR) AS newest FROM ${source}`,
    'SourceUnreadable',
    `source ${of.source}`,
  );
  const report = {
    ...NOTHING,
    mode: 'watermark' as const,
    new: Number(seen.fresh),
    withoutWatermark: Number(seen.missing) + (below?.withoutTime ?? 0),
    watermark: Number(seen.fresh) > 0 ? { kind: column.kind, value: String(seen.newest) } : newest,
  };
  const names = `* EXCLUDE (${AT})`;
  if (newest === null || head.segments.length === 0)
    return { query: `SELECT ${names} FROM ${source} WHERE ${isNew}`, files: [], report };
  const taken = snapshotRelation(await segmentFiles(store, head.segments));
  const inReach = low === null ? '' : `WHERE ${column.sql} >= ${column.literal(low)}`;
  const reach = below === undefined ? taken : `(SELECT * FROM ${taken} ${inReach})`;
  const unseen = await findUnseen(database, column, relation, reach, head.columns, newest, low);
  const tooOld =
    below === undefined || low === null
      ? unseen.tooOld
      : await untakenBelow(database, taken, column, low, below);
  const window = low === null ? '' : `WHERE ${AT} >= ${column.literal(low)}`;
  return {
    query:
      report.new + unseen.late === 0
        ? undefined
        : // Two parts in an order of their own: a total order makes the bytes the same every time.
          `SELECT ${names} FROM (SELECT * FROM ${source} WHERE ${isNew} UNION ALL BY NAME SELECT * FROM ${UNSEEN} ${window}) ORDER BY ALL`,
    files: [],
    report: { ...report, ...unseen, tooOld },
  };
}

async function segmentFiles(
  store: IncrementContext['store'],
  segments: readonly Segment[],
): Promise<string[]> {
  const files: string[] = [];
  for (const { artifact } of segments) files.push(...(await snapshotFiles(store, { artifact })));
  return files;
}

/** The columns of a source's rows. @throws PerennialError where they do not fit the earlier ones */
async function checkColumns(
  database: Database,
  { source }: IncrementOf,
  relation: string,
  head: IncrementalHead,
): Promise<TableRef['columns']> {
  const columns = await database.columns(relation, 'SourceUnreadable', `source ${source}`);
  const drift = columnDrift(head.columns, columns);
  if (drift !== undefined)
    throw new PerennialError(
      'SourceUnreadable',
      `source ${source}: ${drift}; name its type under types, mend the source, or give the source another name to read all of it anew`,
    );
  return columns;
}

async function storeSegment(
  { database, store, scratchDir }: IncrementContext,
  { source }: IncrementOf,
  { query }: Found,
): Promise<Segment | undefined> {
  if (query === undefined) return undefined;
  const path = join(scratchDir, `${source}.segment.parquet`);
  const rows = await database.copyToParquet(query, path, 'SourceUnreadable', `source ${source}`);
  return rows === 0 ? undefined : { artifact: await store.putFile(path, MEDIA_TYPES.parquet), rows };
}

/** All segments as one table. Rows are counted and not added up: some may have been erased since. */
async function snapshotOf(
  { database, store }: IncrementContext,
  { source }: IncrementOf,
  segments: readonly Segment[],
): Promise<TableRef> {
  if (segments.length === 0)
    throw new PerennialError('SourceUnreadable', `source ${source}: there are no rows to begin with`);
  const relation = snapshotRelation(await segmentFiles(store, segments));
  const { rows } = await database.row(`SELECT count(*) AS rows FROM ${relation}`);
  const columns = await database.columns(relation, 'SourceUnreadable', `source ${source}`);
  return { artifact: await putManifest(store, segments), rows: Number(rows), columns };
}
