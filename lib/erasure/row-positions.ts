import type { RowRange } from '../../contracts/refs.ts';
import type { CatalogueEntry, RowsOf } from './row-catalogue.ts';

/** What an erasure means for one artifact. */
export type Verdict =
  /** Rows that go, counted from 0, ascending; none: it does not hold the person. */
  | { gone: number[] }
  /** The same bytes came of several tables that lose different rows: nothing can take its place. */
  | { gone: 'all' }
  /** The tables that it came of cannot be looked through, or are gone. */
  | { why: string };

/** Rows that an artifact loses; `all`: it goes as a whole. */
type Gone = number[] | 'all';

export const losesNothing = (gone: Gone): boolean => gone !== 'all' && gone.length === 0;

/** Which of the rows of an artifact are among those that another one loses. */
export function lostWith(parent: readonly number[], { rows, ranges }: RowsOf): number[] {
  if (ranges) return lostInRanges(parent, ranges);
  if (rows === undefined) return [...parent];
  const lost = new Set(parent);
  return rows.flatMap((row, i) => (lost.has(row) ? [i] : []));
}

function lostInRanges(parent: readonly number[], ranges: readonly RowRange[]): number[] {
  const lost: number[] = [];
  let rows = 0;
  for (const { from, before } of ranges) {
    for (const row of parent.slice(below(parent, from), below(parent, before))) lost.push(rows + row - from);
    rows += before - from;
  }
  return lost;
}

/** The same rows of another artifact, after some of its rows went. */
export function renumbered({ sha256, rows, ranges }: RowsOf, gone: readonly number[]): RowsOf {
  const lost = new Set(gone);
  const now = (row: number): number => row - below(gone, row);
  return {
    sha256,
    ...(rows ? { rows: rows.filter((row) => !lost.has(row)).map(now) } : {}),
    ...(ranges
      ? { ranges: ranges.map(({ from, before }) => ({ from: now(from), before: now(before) })) }
      : {}),
  };
}

/** How many of ascending numbers are below a limit. */
function below(numbers: readonly number[], limit: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] ?? limit) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Follows the rows of a person from the tables in which they were found to what was made of these tables: matrices,
 * samples, reports.
 *
 * @param found by digest: the rows in the tables that could be looked through
 * @param blocked by digest: why a table with a column of its own could not be
 * @returns by digest
 */
export function followRows(
  entries: ReadonlyMap<string, CatalogueEntry>,
  found: ReadonlyMap<string, number[]>,
  blocked: ReadonlyMap<string, string>,
): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>();
  const verdictOf = (sha256: string): Verdict => {
    const known = verdicts.get(sha256);
    if (known) return known;
    // Until it is known: a circle, which no stage makes, ends here.
    verdicts.set(sha256, { why: 'what it was made of leads back to itself' });
    const verdict = judged(sha256);
    verdicts.set(sha256, verdict);
    return verdict;
  };
  const judged = (sha256: string): Verdict => {
    const own = found.get(sha256);
    if (own) return { gone: own };
    const entry = entries.get(sha256);
    const fromParents = (entry?.rowsOf ?? []).flatMap((link) => {
      const verdict = entries.has(link.sha256) ? verdictOf(link.sha256) : undefined;
      if (verdict === undefined || 'why' in verdict) return [];
      return [verdict.gone === 'all' ? verdict.gone : lostWith(verdict.gone, link)];
    });
    const [first, ...others] = fromParents;
    if (first === undefined)
      return {
        why:
          blocked.get(sha256) ??
          (entry?.rowsOf.length
            ? 'the table whose rows it holds is no longer in the store, or could not be looked through'
            : 'none of its columns is known to identify a person; name it under privacy.subjectIn of the spec, run the pipeline, then erase again'),
      };
    if (others.every((other) => String(other) === String(first))) return { gone: first };
    // The same bytes as those of rows without the person: they say nothing about the person.
    if (fromParents.some(losesNothing)) return { gone: [] };
    return { gone: 'all' };
  };
  for (const sha256 of entries.keys()) verdictOf(sha256);
  return verdicts;
}

/** The entries in an order in which tables come before what was made of them. */
export function parentsFirst(entries: ReadonlyMap<string, CatalogueEntry>): CatalogueEntry[] {
  const ordered = new Set<CatalogueEntry>();
  const visited = new Set<string>();
  const visit = (sha256: string): void => {
    const entry = entries.get(sha256);
    if (!entry || visited.has(sha256)) return;
    visited.add(sha256);
    for (const parent of entry.rowsOf) visit(parent.sha256);
    ordered.add(entry);
  };
  for (const sha256 of entries.keys()) visit(sha256);
  return [...ordered];
}
