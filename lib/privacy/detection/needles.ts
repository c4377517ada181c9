import type { Database } from '../../duckdb/database.ts';
import { quoteLiteral } from '../../duckdb/sql.ts';
import type { ColumnSample, SampledValue } from './column-sample.ts';

/** Characters of a value that are looked at as a whole; longer ones are free text. */
export const MAX_LENGTH = 400;
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
  // The password before the host of an address of a server is taken along, so that it is none of a person.
  emails: "(?:://[^\\s/@?]{0,100})?[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9-]{1,63}(?:\\.[A-Za-z0-9-]{1,63}){1,5}",
  numbers: '(?:\\+|\\(0?|\\b)[0-9](?:[ .()/-]{0,2}[0-9]){8,18}\\b',
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
 * Looks for needles in all rows of a column whose values are too many to be at hand, in one scan.
 *
 * @param from an SQL relation with one column `text`
 */
export async function scanNeedles(database: Database, from: string, sample: ColumnSample): Promise<void> {
  const free = isFreeText(sample);
  // One text in so many is looked into, by hash; of kinds that are not looked for none.
  const every: Record<NeedleKind, number | undefined> = {
    emails: sample.withAt > 0 ? everyOf(sample.withAt) : undefined,
    numbers: free ? everyOf(withDigits(sample)) : undefined,
    codes: free ? everyOf(withDigits(sample)) : undefined,
  };
  const kinds = NEEDLE_KINDS.filter((kind) => every[kind] !== undefined);
  if (kinds.length === 0) return;
  const chosen = (kind: NeedleKind): string =>
    (every[kind] ?? 1) > 1 ? `hash(text) % ${every[kind]} = 0` : 'true';
  const conditions = [
    ...(every.emails ? [`(contains(text, '@') AND ${chosen('emails')})`] : []),
    ...(free ? [`(${chosen('numbers')} AND regexp_matches(text, ${quoteLiteral(DIGITS_OR_CODE)}))`] : []),
  ];
  const lists = kinds.map(
    (kind) =>
      `CASE WHEN ${chosen(kind)} THEN list_distinct(regexp_extract_all(text, ${quoteLiteral(EXPRESSIONS[kind])})) END AS ${kind}`,
  );
  const found = await database.rows(
    `WITH hits AS MATERIALIZED (SELECT ${lists.join(', ')} FROM ${from} WHERE ${conditions.join(' OR ')})
     SELECT kind, needle, rows, texts FROM (${kinds
       .map(
         (
           kind,
         ) => `(SELECT '${kind}' AS kind, needle, count(*) AS rows, (SELECT count(*) FROM hits WHERE len(${kind}) > 0) AS texts
          FROM (SELECT unnest(${kind}) AS needle FROM hits) GROUP BY needle ORDER BY hash(needle) LIMIT ${MAX_NEEDLES})`,
       )
       .join(' UNION ALL ')})
     ORDER BY kind, hash(needle)`,
    'ColumnInvalid',
    `privacy, column ${sample.name}`,
  );
  for (const kind of kinds) {
    const own = found.filter((row) => row.kind === kind);
    const times = every[kind] ?? 1;
    sample[kind] = {
      rows: Number(own[0]?.texts ?? 0) * times,
      values: own.map((row) => ({ text: String(row.needle), rows: Number(row.rows) * times })),
    };
  }
}

const everyOf = (texts: number): number => Math.max(1, Math.floor(texts / MAX_TEXTS));

/** Texts of all rows with many digits or a code, by the sample; one that was cut may have them behind. */
function withDigits({ values, sampledRows, present }: ColumnSample): number {
  const expression = new RegExp(DIGITS_OR_CODE);
  const rows = values
    .filter(({ text }) => text.length > MAX_LENGTH || expression.test(text))
    .reduce((sum, value) => sum + value.rows, 0);
  return sampledRows === 0 ? 0 : (rows / sampledRows) * present;
}

/** Whether values are texts of several words; codes of one form are judged by their sample alone. */
export const isFreeText = (sample: ColumnSample): boolean =>
  sample.family === 'nested' ||
  sample.values.filter(({ text }) => text.length >= 24 && /\s\S+\s/.test(text)).length >
    sample.values.length / 20;
