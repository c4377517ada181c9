import { describe, expect, it } from 'vitest';
import { isVolatile } from '../../domain/volatile-sql.ts';

describe('SQL that hangs on the moment', () => {
  it.each([
    "changed_at > now() - INTERVAL '1 day'",
    'day < CURRENT_DATE',
    'SELECT *, random() AS r FROM t',
    'SELECT uuid() AS id FROM t',
    'age(born) > INTERVAL 18 YEARS',
    'SELECT * FROM t WHERE at < get_current_timestamp()',
    'SELECT "now" /* the moment */ -- of the run\n ()',
    'at < current_localtimestamp()',
    'at > ago(INTERVAL 1 DAY)',
    'SELECT * FROM t TABLESAMPLE reservoir(100)',
    'SELECT "now" /* in capitals or not */ ()',
    'SELECT now -- the moment\n ()',
    'SELECT * FROM t USING SAMPLE 10%',
  ])('%s', (sql) => expect(isVolatile(sql)).toBe(true));

  it('many comments take no time', () =>
    expect(isVolatile(`SELECT age ${'/* c */ '.repeat(5_000)} FROM t`)).toBe(false));

  it.each([
    'amount <= credit_limit',
    'SELECT a, b FROM t JOIN u USING (id)',
    'known = 1',
    'average > 2',
    'SELECT age, today FROM t',
    'age >= 18',
    'SELECT sample FROM t JOIN u USING (now)',
    'page(2) > 1',
    'SELECT age, random FROM people',
    'CAST(id AS uuid)',
  ])('not so: %s', (sql) => expect(isVolatile(sql)).toBe(false));
});
