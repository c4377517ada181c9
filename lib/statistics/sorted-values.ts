import type { ComparedColumn } from '../../contracts/distribution-report.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { type Database, refused } from '../duckdb/database.ts';
import { usableValue } from './usable-value.ts';

/** A range of values: above `from`, up to `to`; null where it is open. */
export interface Slice {
  from: number | null;
  to: number | null;
  /** Equal values come as one with their count: a slice of a large table has a bounded number of them. */
  grouped: boolean;
}

const literal = (value: number): string => `'${value}'::DOUBLE`;

/** The values of a column in ascending order, read chunk by chunk from the engine's sorted result. */
export class SortedValues {
  #chunk = -1;
  #at = 0;
  #values: Float64Array = new Float64Array();
  #counts: Float64Array | undefined;
  #value = Number.NaN;
  #ended = false;

  private constructor(private readonly chunks: { values: Float64Array; counts?: Float64Array }[]) {
    this.#load();
  }

  /**
   * Ranges of values with about as many rows of a table each: sorted one after another, they take bounded memory.
   * The cuts are approximate; what is found through them is exact.
   */
  static async cuts(
    database: Database,
    relation: string,
    column: ComparedColumn,
    slices: number,
  ): Promise<Slice[]> {
    if (slices <= 1) return [{ from: null, to: null, grouped: false }];
    const shares = Array.from({ length: slices - 1 }, (_, i) => (i + 1) / slices);
    const row = await database.row(
      `SELECT approx_quantile(${usableValue(column)}, [${shares.join(', ')}]) AS cuts FROM ${relation}`,
      'ColumnInvalid',
      `column ${column.name}`,
    );
    const found = Array.isArray(row.cuts) ? row.cuts.filter((cut) => Number.isFinite(cut)).map(Number) : [];
    const cuts = [...new Set(found)].sort((a, b) => a - b);
    return [...cuts, null].map((to, index) => ({ from: cuts[index - 1] ?? null, to, grouped: true }));
  }

  static async read(
    database: Database,
    relation: string,
    column: ComparedColumn,
    slice: Slice,
  ): Promise<SortedValues> {
    const value = usableValue(column);
    const where = [
      `x IS NOT NULL`,
      ...(slice.from === null ? [] : [`x > ${literal(slice.from)}`]),
      ...(slice.to === null ? [] : [`x <= ${literal(slice.to)}`]),
    ].join(' AND ');
    const from = `FROM (SELECT ${value} AS x FROM ${relation}) WHERE ${where}`;
    const result = await database.connection
      .run(
        slice.grouped
          ? `SELECT x, count(*)::DOUBLE ${from} GROUP BY x ORDER BY x`
          : `SELECT x ${from} ORDER BY x`,
      )
      .catch(refused('ColumnInvalid', `column ${column.name}`));
    return new SortedValues(
      Array.from({ length: result.chunkCount }, (_, index) => {
        const chunk = result.getChunk(index);
        const values = doubles(chunk.getColumnVector(0));
        return slice.grouped ? { values, counts: doubles(chunk.getColumnVector(1)) } : { values };
      }),
    );
  }

  /** The value at the head; Infinity beyond the end. */
  get value(): number {
    return this.#ended ? Number.POSITIVE_INFINITY : this.#value;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Goes on to the next greater value. @returns the rows with the value that was at the head */
  take(): number {
    const value = this.#value;
    let rows = 0;
    while (!this.#ended && this.#value === value) {
      rows += this.#counts?.[this.#at] ?? 1;
      this.#at++;
      if (this.#at < this.#values.length) this.#value = this.#values[this.#at] ?? Number.NaN;
      else this.#load();
    }
    return rows;
  }

  #load(): void {
    do {
      this.#chunk++;
      const chunk = this.chunks[this.#chunk];
      if (!chunk) {
        this.#ended = true;
        return;
      }
      this.#values = chunk.values;
      this.#counts = chunk.counts;
      this.#at = 0;
    } while (this.#values.length === 0);
    this.#value = this.#values[0] ?? Number.NaN;
  }
}

function doubles(vector: object): Float64Array {
  if ('items' in vector && vector.items instanceof Float64Array) return vector.items;
  throw new PerennialError('StageFailed', 'the engine gave numbers of another type than DOUBLE');
}
