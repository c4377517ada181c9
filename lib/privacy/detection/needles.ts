import type { Database } from '../../duckdb/database.ts';
import { quoteLiteral } from '../../duckdb/sql.ts';
import type { ColumnSample, SampledValue } from './column-sample.ts';

/** Distinct needles of a column that are checked. */
const MAX_NEEDLES = 4_000;
/** Texts that needles are taken out of; of more, a sample by hash. */
const MAX_TEXTS = 20_000;

/** Things inside of texts. */
export interface Needles {
  /** Rows whose text holds at least one, estimated where texts were sampled. */
  rows: number;
  /** Distinct ones with their rows, estimated likewise; at most {@link MAX_NEEDLES}. */
  values: SampledValue[];
}

/** Kinds of needles: by an `@`, by many digits, by capitals and digits. */
export const NEEDLE_KINDS = ['emails', 'numbers', 'codes'] as const;
export type NeedleKind = (typeof NEEDLE_KINDS)[number];

/** Expressions that RE2 and ECMAScript read alike; they need no look-around. */
const EXPRESSIONS: Record<NeedleKind, string> = {
  emails: "[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63}){1,5}",
  numbers: '\\+?\\b[0-9](?:[ .()/-]{0,2}[0-9]){8,18}\\b',
  codes: '\\b(?:[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?|[A-Z0-9]{9,18})\\b',
};

/** What a text with numbers or codes holds at the least; found sooner than the expressions themselves. */
const DIGITS_OR_CODE = '[0-9](?:[ .()/-]{0,2}[0-9]){8}|[A-Z0-9]{9}|[A-Z]{2}[0-9]{2} [A-Z0-9]{4}';

export const noNeedles = (): Needles => ({ rows: 0, values: [] });

/** Needles of values that are at hand, all of a column. */
export function needlesOf(values: readonly SampledValue[], kind: NeedleKind): Needles {
  const found = new Map<string, number>();
  let rows = 0;
  const expression = new RegExp(EXPRESSIONS[kind], 'g');
  for (const value of values) {
    if (kind === 'emails' && !value.text.includes('@')) continue;
    const matches = new Set(value.text.match(expression));
    if (matches.size > 0) rows += value.rows;
    for (const match of matches) found.set(match, (found.get(match) ?? 0) + value.rows);
  }
  return {
    rows,
    values: [...found].slice(0, MAX_NEEDLES).map(([text, count]) => ({ text, rows: count })),
  };
}

/**
 * Looks for needles in all rows of a column whose values are too many to be at hand.
 *
 * @param from an SQL relation with one column `text`
 */
export async function scanNeedles(database: Database, from: string, sample: ColumnSample): Promise<void> {
  const what = `privacy, column ${sample.name}`;
  const rows = (sql: string): Promise<Record<string, unknown>[]> => database.rows(sql, 'ColumnInvalid', what);
  const take = async (kind: NeedleKind, condition: string, texts: number): Promise<void> => {
    const every = Math.max(1, Math.floor(texts / MAX_TEXTS));
    const found = await rows(
      `WITH hits AS (
         SELECT list_distinct(regexp_extract_all(text, ${quoteLiteral(EXPRESSIONS[kind])})) AS needles
         FROM ${from} WHERE ${condition}${every > 1 ? ` AND hash(text) % ${every} = 0` : ''}
       )
       SELECT needle, count(*) AS rows, (SELECT count(*) FROM hits WHERE len(needles) > 0) AS texts
       FROM (SELECT unnest(needles) AS needle FROM hits) GROUP BY needle ORDER BY hash(needle) LIMIT ${MAX_NEEDLES}`,
    );
    sample[kind] = {
      rows: Number(found[0]?.texts ?? 0) * every,
      values: found.map((row) => ({ text: String(row.needle), rows: Number(row.rows) * every })),
    };
  };
  if (sample.withAt > 0) await take('emails', "contains(text, '@')", sample.withAt);
  if (!isFreeText(sample)) return;
  const condition = `regexp_matches(text, ${quoteLiteral(DIGITS_OR_CODE)})`;
  const [counted] = await rows(`SELECT count(*) AS texts FROM ${from} WHERE ${condition}`);
  const texts = Number(counted?.texts ?? 0);
  if (texts === 0) return;
  await take('numbers', condition, texts);
  await take('codes', condition, texts);
}

/** Whether values are texts of several words; codes of one form are judged by their sample alone. */
const isFreeText = (sample: ColumnSample): boolean =>
  sample.family === 'nested' ||
  sample.values.filter(({ text }) => text.length >= 24 && /\s\S+\s/.test(text)).length >
    sample.values.length / 20;
