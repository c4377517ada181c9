import type { DuckDBConnection } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import type { CategoricalOptions } from '../../contracts/spec/features.ts';
import { refused } from '../duckdb/database.ts';
import type { FittedCategories } from './feature-plan.ts';

/** Categories that an ordinal or frequency table holds at most; the rest are "other". */
export const TABLE_LIMIT = 10_000;

/** The encodings that counts of the categories are enough for. */
type CountedEncoding = Exclude<FittedCategories['encoding'], 'target'>;

/** A text column to be learned: an SQL expression over the relation (NULL = missing) and its options. */
export interface CategoryTask {
  name: string;
  sql: string;
  options: CategoricalOptions & { encoding: 'auto' | CountedEncoding };
}

/** A category and its training rows. */
export interface Category {
  text: string;
  count: number;
}

/**
 * The most frequent categories of each column, with their counts: one query, which reads each column once.
 * Ties are broken by the text, so that the same rows always give the same categories.
 *
 * @param relation SQL that may stand after FROM
 * @returns for each task up to {@link TABLE_LIMIT} + 1 categories that are frequent enough
 */
export async function categoryCounts(
  connection: DuckDBConnection,
  relation: string,
  tasks: readonly CategoryTask[],
): Promise<Category[][]> {
  const found: Category[][] = tasks.map(() => []);
  if (tasks.length === 0) return found;
  const queries = tasks.map(
    ({ sql, options }, index) =>
      `(SELECT ${index} AS task, category, CAST(count(*) AS DOUBLE) AS n
        FROM (SELECT ${sql} AS category FROM ${relation}) AS inputs
        WHERE category IS NOT NULL GROUP BY category HAVING count(*) >= ${options.minFrequency}
        ORDER BY n DESC, category LIMIT ${TABLE_LIMIT + 1})`,
  );
  const reader = await connection
    .runAndReadAll(queries.join(' UNION ALL '))
    .catch(refused('StageFailed', 'counts of the categories'));
  for (const [task, text, count] of reader.getRowsJS()) {
    if (typeof task !== 'number' || typeof text !== 'string' || typeof count !== 'number') {
      throw new PerennialError('StageFailed', 'The counts of categories have an unexpected shape.');
    }
    found[task]?.push({ text, count });
  }
  for (const list of found) list.sort((a, b) => b.count - a.count || compareText(a.text, b.text));
  return found;
}

/**
 * The encoding of one column.
 *
 * @param counts from {@link categoryCounts}
 * @param present rows with a category, @param missing rows without
 * @returns `undefined` where every row would get the same numbers
 */
export function fitCategories(
  { options }: Pick<CategoryTask, 'options'>,
  counts: readonly Category[],
  present: number,
  missing: number,
): FittedCategories | undefined {
  const encoded = (encoding: CountedEncoding) => {
    const kept = counts
      .slice(0, encoding === 'onehot' ? options.maxCategories : TABLE_LIMIT)
      .sort((a, b) => compareText(a.text, b.text));
    return encode(encoding, kept, present, missing);
  };
  if (options.encoding !== 'auto') return encoded(options.encoding);
  if (counts.length <= options.maxCategories) return encoded('onehot');
  // Categories that are all equally frequent cannot be told apart by their frequency.
  return encoded('frequency') ?? encoded('onehot');
}

function encode(
  encoding: CountedEncoding,
  kept: readonly Category[],
  present: number,
  missing: number,
): FittedCategories | undefined {
  const categories = kept.map(({ text }) => text);
  const other = kept.reduce((rest, { count }) => rest - count, present) > 0;
  if (categories.length + Number(other) + Number(missing > 0) < 2) return undefined;
  switch (encoding) {
    case 'onehot':
      return { encoding, categories, other };
    case 'ordinal':
      return { encoding, categories, missingCode: missing > 0 ? -2 : -1 };
    case 'frequency': {
      const share = (count: number) => Math.fround(count / (present + missing));
      const shares = kept.map(({ count }) => share(count));
      const missingShare = share(missing);
      const seen = new Set([...shares, ...(other ? [0] : []), ...(missing > 0 ? [missingShare] : [])]);
      return seen.size < 2 ? undefined : { encoding, categories, shares, missingShare };
    }
  }
}

/** Ascending UTF-16 code units: the same in every locale. */
export const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
