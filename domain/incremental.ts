import type {
  IncrementalHead,
  IncrementReport,
  SeenFile,
  Segment,
  Watermark,
} from '../contracts/incremental.ts';
import type { TableRef } from '../contracts/refs.ts';

/** Reads that a head remembers, so that an attempt of a run finds what an earlier one took. */
const REMEMBERED_RUNS = 50;

/** A source of which nothing was read yet. */
export const emptyHead = (by: string): IncrementalHead => ({
  schemaVersion: 1,
  by,
  segments: [],
  columns: [],
  watermark: null,
  files: [],
  taken: [],
});

/**
 * The smallest watermark value whose rows are still taken: rows at or above it count as late where they are not after
 * the watermark, rows below are too old. Only event time counts, no clock.
 *
 * @param latenessMs how late a row may come, in milliseconds; without it a row is never too old
 * @returns `null` where there is no bound
 * @example lowerBound({ kind: 'time', value: '5000000' }, 2_000) // { kind: 'time', value: '3000000' }
 */
export function lowerBound(watermark: Watermark | null, latenessMs: number | undefined): Watermark | null {
  if (watermark === null || latenessMs === undefined || watermark.kind === 'number') return null;
  const micros = BigInt(watermark.value) - BigInt(Math.round(latenessMs * 1_000));
  return { kind: 'time', value: String(micros) };
}

/** What is to be done with the files that a source has now. */
export interface FileDecision<F extends SeenFile> {
  /** To be read, in the order in which they were found. */
  fresh: F[];
  /** Known paths with other content. Their old rows are in the snapshot, so this needs a person. */
  changed: string[];
}

/**
 * Which files no earlier run has read. A file counts as read by its path or by its content: a copy or a new name of
 * the same content adds nothing.
 */
export function decideFiles<F extends SeenFile>(
  seen: readonly SeenFile[],
  found: readonly F[],
): FileDecision<F> {
  const identities = new Set(seen.map(({ identity }) => identity));
  const byPath = new Map(seen.map(({ path, identity }) => [path, identity]));
  const decision: FileDecision<F> = { fresh: [], changed: [] };
  for (const file of found) {
    const before = byPath.get(file.path);
    if (before !== undefined && before !== file.identity) decision.changed.push(file.path);
    else if (before === undefined && !identities.has(file.identity)) {
      decision.fresh.push(file);
      identities.add(file.identity);
    }
  }
  return decision;
}

const NUMBER = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|UINTEGER|DECIMAL.*|FLOAT|DOUBLE)$/;
const TIME = /^(DATE|TIMESTAMP( WITH TIME ZONE|_S|_MS|_NS)?)$/;

const family = (type: string): string => (NUMBER.test(type) ? 'number' : TIME.test(type) ? 'time' : type);

/**
 * Why rows with these columns cannot be added to those that are there, or `undefined`. Columns may come newly;
 * earlier rows have none of it. Numbers may become wider. A column that is gone, or is of another kind, is a change
 * of the source that somebody must decide about.
 */
export function columnDrift(before: TableRef['columns'], now: TableRef['columns']): string | undefined {
  const types = new Map(now.map(({ name, type }) => [name.toLowerCase(), type]));
  for (const { name, type } of before) {
    const found = types.get(name.toLowerCase());
    if (found === undefined) return `the column ${name}, which earlier rows have, is gone`;
    if (family(found) !== family(type)) return `the column ${name} was ${type} and is ${found} now`;
  }
  return undefined;
}

/** What one read took. */
export interface Taken {
  run: string;
  /** `undefined` where there was nothing to take. */
  segment: Segment | undefined;
  snapshot: TableRef;
  report: IncrementReport;
  files: readonly SeenFile[];
}

/** The head after a read: it grows by a segment, the watermark never goes back. */
export function advanced(
  head: IncrementalHead,
  { run, segment, snapshot, report, files }: Taken,
): IncrementalHead {
  return {
    ...head,
    segments: segment ? [...head.segments, segment] : head.segments,
    columns: snapshot.columns,
    watermark: report.watermark,
    files: [...head.files, ...files.map(({ path, identity }) => ({ path, identity }))],
    taken: [...head.taken, { run, snapshot, report }].slice(-REMEMBERED_RUNS),
  };
}
