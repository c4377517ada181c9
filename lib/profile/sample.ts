import type { ColumnProfile, TableProfile } from '../../contracts/profile.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { isoMoment, type ProfiledColumn, partsOf } from './column-kinds.ts';
import { patternOf } from './text-pattern.ts';

/** Rows that quantiles, patterns and correlations are taken from: the rank of a quantile is off by about 0.3 %. */
const SAMPLE_ROWS = 100_000;
/** Number columns whose correlations are looked at: 20 make 190 pairs. */
const MAX_CORRELATED = 20;
const AT_ONCE = 64;
export const QUANTILES = [0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999] as const;
/** Shapes of a text column beyond this are no format. */
const MAX_SHAPES = 50;

/** What the sampled rows say about a column. */
export type SampledFacts = Pick<ColumnProfile, 'quantiles' | 'looksLike' | 'pattern'> & {
  /** Quantiles as DOUBLE, by share. */
  numbers: Map<number, number>;
};

/** A sample of a table, in the database's own memory. The same table gives the same sample. */
export class Sample {
  private constructor(
    private readonly database: Database,
    readonly rows: number,
    private readonly relation: string,
  ) {}

  static async take(database: Database, relation: string, rows: number): Promise<Sample> {
    await database.run('DROP TABLE IF EXISTS perennial_sample');
    // Row by row with a fixed seed. Whole vectors would be cheaper, but a sorted column would lose its ends.
    const clause =
      rows <= SAMPLE_ROWS
        ? ''
        : ` USING SAMPLE ${((100 * SAMPLE_ROWS) / rows).toFixed(4)} PERCENT (bernoulli, 42)`;
    await database.run(
      `CREATE TEMP TABLE perennial_sample AS SELECT * FROM ${relation}${clause}`,
      'SourceUnreadable',
      'the profile',
    );
    const row = await database.row('SELECT count(*) AS n FROM perennial_sample');
    return new Sample(database, Number(row.n), 'perennial_sample');
  }

  async facts(columns: readonly ProfiledColumn[]): Promise<SampledFacts[]> {
    const found: SampledFacts[] = [];
    for (const part of partsOf(columns, AT_ONCE)) {
      const row = await this.database.row(
        `SELECT count(*) AS n, ${part.map(sampled).join(', ')} FROM ${this.relation}`,
      );
      for (const [index, column] of part.entries())
        found.push({
          ...quantilesOf(row[`q${index}`], column),
          looksLike: looksLike(row, index),
          pattern: column.kind === 'text' ? await this.#pattern(column) : null,
        });
    }
    return found;
  }

  async #pattern(column: ProfiledColumn): Promise<string | null> {
    const shapes = await this.database.rows(
      `SELECT DISTINCT regexp_replace(regexp_replace(regexp_replace(v, '[A-Z]', 'A', 'g'), '[a-z]', 'a', 'g'), '[0-9]', '9', 'g') AS shape
       FROM (SELECT CAST(${column.sql} AS VARCHAR) AS v FROM ${this.relation} LIMIT 20000) WHERE v IS NOT NULL LIMIT ${MAX_SHAPES + 1}`,
    );
    return shapes.length > MAX_SHAPES ? null : patternOf(shapes.map((row) => String(row.shape)));
  }

  /** Pearson's correlation of each pair of the first number columns that vary. */
  async correlations(columns: readonly ProfiledColumn[]): Promise<TableProfile['correlations']> {
    const numbers = columns.filter((column) => column.kind === 'number').slice(0, MAX_CORRELATED);
    const pairs = numbers.flatMap((a, i) => numbers.slice(i + 1).map((b) => ({ a, b })));
    if (pairs.length === 0) return [];
    const finite = ({ sql, number, type }: ProfiledColumn): string =>
      // The engine refuses a variance that is no finite number.
      /^(FLOAT|DOUBLE)$/.test(type) ? `CASE WHEN abs(${sql}) <= 1e30 THEN ${number} END` : `${number}`;
    const row = await this.database.row(
      `SELECT ${pairs.map(({ a, b }, i) => `corr(${quoteIdent(`n${numbers.indexOf(a)}`)}, ${quoteIdent(`n${numbers.indexOf(b)}`)}) AS p${i}`).join(', ')}
       FROM (SELECT ${numbers.map((column, i) => `${finite(column)} AS n${i}`).join(', ')} FROM ${this.relation})`,
    );
    return pairs
      .flatMap(({ a, b }, i) => {
        const value = row[`p${i}`];
        return typeof value === 'number' && Number.isFinite(value)
          ? [{ columns: [a.name, b.name] as [string, string], value }]
          : [];
      })
      .sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  }

  drop(): Promise<void> {
    return this.database.run('DROP TABLE IF EXISTS perennial_sample');
  }
}

function sampled({ kind, number, sql }: ProfiledColumn, index: number): string {
  if (number !== null) {
    return `quantile_cont(CASE WHEN isfinite(${number}) THEN ${number} END, [${QUANTILES.join(', ')}]) AS q${index}`;
  }
  if (kind !== 'text') return `NULL AS q${index}`;
  const text = `CAST(${sql} AS VARCHAR)`;
  return `count(${sql}) AS c${index}, count(TRY_CAST(${text} AS DOUBLE)) AS n${index}, count(TRY_CAST(${text} AS TIMESTAMP)) AS t${index}`;
}

function quantilesOf(found: unknown, column: ProfiledColumn): Pick<SampledFacts, 'quantiles' | 'numbers'> {
  const numbers = new Map<number, number>();
  if (Array.isArray(found))
    for (const [index, share] of QUANTILES.entries())
      if (typeof found[index] === 'number') numbers.set(share, found[index]);
  if (numbers.size === 0) return { quantiles: null, numbers };
  return {
    numbers,
    quantiles: Object.fromEntries(
      [...numbers].map(([share, value]) => [
        String(share),
        column.kind === 'moment' ? isoMoment(Math.round(value)) : value,
      ]),
    ),
  };
}

function looksLike(row: Record<string, unknown>, index: number): ColumnProfile['looksLike'] {
  const values = Number(row[`c${index}`] ?? 0);
  if (values === 0) return null;
  const numbers = Number(row[`n${index}`]) / values;
  const moments = Number(row[`t${index}`]) / values;
  if (numbers === 0 && moments === 0) return null;
  return numbers >= moments ? { kind: 'number', share: numbers } : { kind: 'moment', share: moments };
}
