/** Functions of DuckDB whose answer hangs on the moment, the session or chance; only a call of them counts. */
const FUNCTIONS =
  'now|today|ago|age|(?:get_)?current_(?:date|time|timestamp|localtime|localtimestamp|\\w+_id|query)|transaction_timestamp|random|setseed|uuid|uuidv4|uuidv7|gen_random_uuid|nextval|currval|txid_current';

/** What may stand between a function's name and its parenthesis. */
const GAP = '"?(?:\\s|/\\*(?:[^*]|\\*(?!/))*\\*/|--[^\\n]*\\n)*';

const VOLATILE = new RegExp(
  [
    `\\b(?:${FUNCTIONS})${GAP}\\(`,
    // These need no parentheses.
    '\\b(?:current_date|current_time|current_timestamp|localtime|localtimestamp)\\b',
    '\\bTABLESAMPLE\\b',
    `\\bUSING${GAP}SAMPLE\\b`,
  ].join('|'),
  'i',
);

/**
 * Whether people's SQL may answer differently for the same data: its results are not to be taken from a cache. Such a
 * call inside of a text or a comment counts too, which costs work and nothing else; a column `age` does not.
 *
 * @example isVolatile("changed_at > now() - INTERVAL '1 day'") === true
 */
export const isVolatile = (sql: string): boolean => VOLATILE.test(sql);
