/** Functions of DuckDB whose answer hangs on the moment, the session or chance. */
const VOLATILE =
  /\b(now|today|current_date|current_time|current_timestamp|get_current_\w+|localtime|localtimestamp|transaction_timestamp|age|random|setseed|uuid|uuidv4|uuidv7|gen_random_uuid|nextval|currval|txid_current)\b/i;

/**
 * Whether people's SQL may answer differently for the same data: its results are not to be taken from a cache. A
 * column of such a name counts too, which costs work and nothing else.
 *
 * @example isVolatile("changed_at > now() - INTERVAL '1 day'") === true
 */
export const isVolatile = (sql: string): boolean => VOLATILE.test(sql);
