import type { ColumnComparison, ComparedColumn } from '../../contracts/distribution-report.ts';
import type { Database } from '../duckdb/database.ts';
import { jensenShannon, populationStability } from './count-distances.ts';
import { twoSamplePValue } from './kolmogorov.ts';
import { SortedValues } from './sorted-values.ts';
import { SortedWalk } from './sorted-walk.ts';

/** Sorted values that lie in memory at once, for each table. */
const VALUES_AT_ONCE = 5_000_000;

/** PSI, Jensen-Shannon and the exact Kolmogorov-Smirnov test of a number column; see `compareTables`. */
export async function compareNumbers(
  database: Database,
  tables: { reference: string; current: string },
  column: ComparedColumn,
  referenceRows: number,
  currentRows: number,
  bins: number,
  valuesAtOnce = VALUES_AT_ONCE,
): Promise<Pick<ColumnComparison, 'psi' | 'jensenShannon' | 'ks' | 'bins'>> {
  const walk = new SortedWalk(referenceRows, currentRows, bins);
  const slices = Math.ceil(Math.max(referenceRows, currentRows) / valuesAtOnce);
  const cuts = await SortedValues.cuts(database, tables.reference, column, slices);
  for (const slice of cuts) {
    const reference = await SortedValues.read(database, tables.reference, column, slice);
    const current = await SortedValues.read(database, tables.current, column, slice);
    merge(reference, current, walk);
  }
  const found = walk.finish();
  return {
    psi: populationStability(found.bins),
    jensenShannon: jensenShannon(found.bins),
    ks: {
      statistic: found.distance,
      pValue: twoSamplePValue(found.distance, referenceRows, currentRows),
    },
    bins: found.bins.map((bin) => ({
      label: Number.isFinite(bin.upTo) ? `≤ ${boundText(bin.upTo, column)}` : 'above',
      reference: bin.reference,
      current: bin.current,
    })),
  };
}

/** A bin's upper end for people; moments are compared as epoch seconds. */
export const boundText = (value: number, { kind }: Pick<ComparedColumn, 'kind'>): string =>
  kind === 'datetime' ? momentText(value) : String(Number(value.toPrecision(6)));

function momentText(seconds: number): string {
  const moment = new Date(seconds * 1_000);
  return Number.isNaN(moment.getTime())
    ? String(seconds)
    : moment.toISOString().slice(0, 16).replace('T', ' ');
}

function merge(reference: SortedValues, current: SortedValues, walk: SortedWalk): void {
  while (!reference.ended || !current.ended) {
    const value = Math.min(reference.value, current.value);
    walk.next(
      value,
      reference.value === value ? reference.take() : 0,
      current.value === value ? current.take() : 0,
    );
  }
}
