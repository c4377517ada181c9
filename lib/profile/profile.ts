import { PerennialError } from '../../contracts/errors.ts';
import type { ColumnProfile, TableProfile } from '../../contracts/profile.ts';
import { type Database, refused } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { type ColumnFacts, columnFacts } from './column-facts.ts';
import { type ProfiledColumn, profiledColumn } from './column-kinds.ts';
import { Sample, type SampledFacts } from './sample.ts';
import { commonValues, exactDistinct, histograms, mismatches, orders } from './value-counts.ts';
import { warningsOf } from './warnings.ts';

/** Columns beyond this are refused. */
const MAX_COLUMNS = 2_000;
/** Columns with at most so many distinct values are counted value by value. */
const FEW_VALUES = 10_000;
/** Columns that are looked at for what costs a pass over the column: being a key, order, format. */
const MAX_DEEP = 40;
/** HyperLogLog's estimate of a key is seldom off by more. */
const NEARLY_UNIQUE = 0.85;

/** Options of {@link profileTable}. */
export interface ProfileOptions {
  /** Columns whose values must not be shown: counts and shares stay, extremes and common values go. */
  personal?: readonly string[];
}

/**
 * Profiles a table: types, missing and distinct values, extremes, quantiles, bins, common values, lengths, keys,
 * order, formats, correlations, repeated rows, and warnings.
 *
 * Counts, extremes, means, bins, common values and the flags are exact. Distinct counts above 10,000 are HyperLogLog
 * estimates (`exact: false`) unless the column may be a key; quantiles, correlations and what a text looks like come
 * from about 100,000 sampled rows. The same table gives the same profile.
 *
 * @param relation an SQL relation, such as `read_parquet('x.parquet')`; it is read about six times, so not a CSV
 * @throws PerennialError `SourceUnreadable`, `ColumnInvalid` above 2,000 columns
 * @example
 * const profile = await profileTable(database, "read_parquet('flights.parquet')");
 * profile.warnings.map((warning) => warning.message);
 */
export async function profileTable(
  database: Database,
  relation: string,
  options: ProfileOptions = {},
): Promise<TableProfile> {
  const columns = (await database.columns(relation, 'SourceUnreadable', 'the profile')).map(profiledColumn);
  if (columns.length > MAX_COLUMNS)
    throw new PerennialError(
      'ColumnInvalid',
      `the table has ${columns.length} columns, at most ${MAX_COLUMNS} can be profiled; choose the ones that matter by SQL`,
    );
  const { rows, facts } = await columnFacts(database, relation, columns);
  const sample = await Sample.take(database, relation, rows);
  try {
    const profiler = new Profiler(database, relation, rows, columns, facts, await sample.facts(columns));
    const found = await profiler.columns();
    const varying = columns.filter((_, index) => found[index]?.constant === false);
    const correlations = await sample.correlations(varying);
    const duplicates = await profiler.duplicates(found);
    const hidden = new Set(options.personal ?? []);
    const shown = found.map((column) => (hidden.has(column.name) ? withoutValues(column) : column));
    return {
      schemaVersion: 1,
      rows,
      sampledRows: sample.rows,
      duplicates,
      columns: shown,
      correlations,
      warnings: warningsOf({ rows, duplicates, columns: shown, correlations }),
    };
  } finally {
    await sample.drop();
  }
}

const withoutValues = (column: ColumnProfile): ColumnProfile => ({
  ...column,
  min: null,
  max: null,
  quantiles: null,
  histogram: [],
  top: [],
});

/** The questions that cost a pass over a column each, asked only where the answer can matter. */
class Profiler {
  constructor(
    private readonly database: Database,
    private readonly relation: string,
    private readonly rows: number,
    private readonly all: readonly ProfiledColumn[],
    private readonly facts: readonly ColumnFacts[],
    private readonly sampled: readonly SampledFacts[],
  ) {}

  async columns(): Promise<ColumnProfile[]> {
    const top = await this.#answers(this.#hasFewValues, (columns) =>
      commonValues(this.database, this.relation, columns),
    );
    const keys = await this.#answers(
      this.#mayBeKey,
      (columns) => exactDistinct(this.database, this.relation, columns),
      MAX_DEEP,
    );
    const order = await this.#answers(
      this.#mayBeOrdered,
      (columns) => orders(this.database, this.relation, columns),
      MAX_DEEP,
    );
    const bins = await this.#answers(
      (_, index) => this.#binsOf(index) !== null,
      (_columns, indices) =>
        histograms(
          this.database,
          this.relation,
          indices.flatMap((index) => this.#binsOf(index) ?? []),
        ),
    );
    const patterned = await this.#answers(
      (_, index) => this.sampled[index]?.pattern != null,
      (columns, indices) =>
        mismatches(
          this.database,
          this.relation,
          columns.map((column, i) => ({ column, pattern: this.sampled[indices[i] ?? -1]?.pattern ?? '' })),
        ),
      MAX_DEEP,
    );
    return this.all.map(({ name, type, kind, whole }, index) => {
      const { approximateDistinct = 0, range: _range, ...facts } = this.facts[index] ?? EMPTY;
      const exact = top.get(index)?.distinct ?? keys.get(index);
      const distinct =
        kind === 'other' ? null : { count: exact ?? approximateDistinct, exact: exact !== undefined };
      const { quantiles = null, pattern = null, looksLike = null } = this.sampled[index] ?? {};
      return {
        name,
        type,
        kind,
        whole,
        ...facts,
        distinct,
        quantiles,
        histogram: bins.get(index) ?? [],
        top: top.get(index)?.top ?? [],
        constant: facts.values > 0 && facts.missing === 0 && distinct?.exact === true && distinct.count === 1,
        unique: facts.values > 0 && distinct?.exact === true && distinct.count === facts.values,
        order: order.get(index) ?? null,
        pattern: patterned.get(index) === 0 ? pattern : null,
        looksLike,
      };
    });
  }

  /** Rows that repeat an earlier one, by a hash of 64 bits over all columns. */
  async duplicates(found: readonly ColumnProfile[]): Promise<number | null> {
    if (this.rows === 0 || found.some((column) => column.unique && column.missing === 0)) return 0;
    if (this.all.length > MAX_DEEP * 5) return null;
    const hash = `hash(${this.all.map(({ name }) => quoteIdent(name)).join(', ')})`;
    const reader = await this.database.connection
      .runAndReadAll(`SELECT count(*) - count(DISTINCT ${hash}) FROM ${this.relation}`)
      .catch(refused('SourceUnreadable', 'repeated rows'));
    return Number(reader.getRowsJS()[0]?.[0] ?? 0);
  }

  /** Asks about the columns for which the question makes sense; the answers by index of the column. */
  async #answers<T>(
    matters: (column: ProfiledColumn, index: number) => boolean,
    ask: (columns: ProfiledColumn[], indices: number[]) => Promise<T[]>,
    limit = Number.POSITIVE_INFINITY,
  ): Promise<Map<number, T>> {
    const chosen = this.all
      .map((column, index) => ({ column, index }))
      .filter(({ column, index }) => matters(column, index))
      .slice(0, limit);
    const indices = chosen.map(({ index }) => index);
    const answers =
      chosen.length === 0
        ? []
        : await ask(
            chosen.map(({ column }) => column),
            indices,
          );
    return new Map(answers.map((answer, i) => [indices[i] ?? -1, answer]));
  }

  readonly #hasFewValues = ({ kind }: ProfiledColumn, index: number): boolean =>
    kind !== 'other' && (this.facts[index]?.approximateDistinct ?? 0) <= FEW_VALUES;

  readonly #mayBeKey = (column: ProfiledColumn, index: number): boolean => {
    const { values = 0, approximateDistinct = 0 } = this.facts[index] ?? {};
    const isFraction = column.kind === 'number' && !column.whole;
    return (
      !isFraction &&
      column.kind !== 'other' &&
      approximateDistinct > FEW_VALUES &&
      approximateDistinct >= NEARLY_UNIQUE * values
    );
  };

  readonly #mayBeOrdered = (column: ProfiledColumn, index: number): boolean => {
    const { missing = 1, approximateDistinct = 0 } = this.facts[index] ?? {};
    return (column.kind === 'moment' || column.whole) && missing === 0 && approximateDistinct > 1;
  };

  #binsOf(index: number): { column: ProfiledColumn; range: [number, number]; most: [number, number] } | null {
    const column = this.all[index];
    const range = this.facts[index]?.range;
    if (!column?.number || !range) return null;
    const numbers = this.sampled[index]?.numbers;
    return { column, range, most: [numbers?.get(0.01) ?? range[0], numbers?.get(0.99) ?? range[1]] };
  }
}

const EMPTY: ColumnFacts = {
  values: 0,
  missing: 0,
  min: null,
  max: null,
  mean: null,
  std: null,
  zeros: 0,
  negatives: 0,
  infinite: 0,
  lengths: null,
  approximateDistinct: 0,
  range: null,
};
