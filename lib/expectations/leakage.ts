import type { Rule } from '../../contracts/spec/expectations.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import type { Finding } from './check.ts';
import { type CheckedTable, familyOf, ROW } from './table.ts';
import { numberText } from './words.ts';

/** Rows that are looked at: a score's standard error is then below 0.002. */
const SAMPLE = 100_000;
const FOLDS = 5;
/** Quantile bins of a number with more values than that. */
const BINS = 64;
/** Fewer rows tell nothing. */
const LEAST_ROWS = 50;

/** What {@link leakage} needs. */
export interface LeakageTask {
  rule: Rule<'leakage'>;
  table: CheckedTable;
  target: string;
  task: Task;
  features: readonly string[];
  where: string;
}

/**
 * Looks for features that alone predict the target too well, on at most about 100,000 rows chosen by a hash of
 * the row number.
 *
 * Each feature's score is what its groups (values; quantile bins of a number with many values; missing is a group
 * of its own) say about rows of *other* folds (five, by hash), so that an id, whose values never repeat, scores
 * nothing: binary, the area under the ROC curve of the out-of-fold target rate; multiclass, Goodman and Kruskal's
 * lambda (1954) of the out-of-fold most common class; regression, the share of variance explained by the
 * out-of-fold mean (the correlation ratio η²). For a number the symmetric rank AUC (binary) or the squared rank
 * correlation (regression) of the value itself counts where it is higher.
 */
export async function leakage(database: Database, job: LeakageTask): Promise<Finding> {
  const { table, target, task, features, where, rule } = job;
  const sample = '__perennial_sample';
  const columns = [...new Set([target, ...features])].map(quoteIdent).join(', ');
  const label = quoteIdent(target);
  await database.run(
    `CREATE OR REPLACE TEMP TABLE ${sample} AS
     SELECT ${columns}, hash(${ROW} + 1) % ${FOLDS} AS __perennial_fold, ${labelOf(task, label)} AS __perennial_y
     FROM ${table.numbered}
     WHERE ${label} IS NOT NULL
       AND hash(${ROW}) % greatest(1, (SELECT count(*) FROM ${table.from}) // ${SAMPLE}) = 0`,
    'ColumnInvalid',
    where,
  );
  try {
    const facts = await database.row(
      `SELECT count(*) AS rows, count(DISTINCT __perennial_y) AS labels FROM ${sample}`,
    );
    if (Number(facts.rows) < LEAST_ROWS || Number(facts.labels) < 2)
      return { violations: 0, passed: true, note: 'too few rows or labels to judge' };
    const scores: { name: string; score: number; identifies: boolean }[] = [];
    for (const name of features) {
      const type = table.columns.find((column) => column.name === name)?.type ?? '';
      scores.push({ name, ...(await scoreOf(database, sample, name, type, task, where)) });
    }
    const leaking = scores
      .filter(({ score }) => score >= rule.threshold)
      .sort((a, b) => b.score - a.score || (a.name < b.name ? -1 : 1));
    const highest = scores.reduce((a, b) => Math.max(a, b.score), 0);
    const ids = scores.filter(({ identifies }) => identifies).map(({ name }) => name);
    return {
      violations: leaking.length,
      passed: leaking.length === 0,
      value: Number(highest.toPrecision(6)),
      observed:
        leaking.length === 0
          ? `the highest score is ${numberText(highest)}`
          : leaking
              .slice(0, 10)
              .map(({ name, score }) => `${name} ${numberText(score)}`)
              .join(', '),
      ...(ids.length > 0
        ? { note: `${ids.slice(0, 10).join(', ')}: nearly every value occurs once, like an id` }
        : {}),
    };
  } finally {
    await database.run(`DROP TABLE IF EXISTS ${sample}`);
  }
}

const labelOf = (task: Task, label: string): string =>
  ({
    binary: `CASE WHEN ${label} = max(${label}) OVER () THEN 1.0 ELSE 0.0 END::DOUBLE`,
    regression: `CAST(${label} AS DOUBLE)`,
    multiclass: `CAST(${label} AS VARCHAR)`,
  })[task];

async function scoreOf(
  database: Database,
  sample: string,
  name: string,
  type: string,
  task: Task,
  where: string,
): Promise<{ score: number; identifies: boolean }> {
  const column = quoteIdent(name);
  const one = (sql: string): Promise<Record<string, unknown>> => database.row(sql, 'ColumnInvalid', where);
  const facts = await one(
    `SELECT count(DISTINCT ${column}) AS distinct_values, count(${column}) AS given FROM ${sample}`,
  );
  const [values, given] = [Number(facts.distinct_values), Number(facts.given)];
  const family = familyOf(type);
  const ordered = family !== 'text' && family !== 'boolean' && family !== 'other';
  const number = ['integer', 'decimal'].includes(family)
    ? `CAST(${column} AS DOUBLE)`
    : `CAST(epoch(CAST(${column} AS TIMESTAMP)) AS DOUBLE)`;
  const grouped =
    ordered && values > 10 * BINS
      ? `CASE WHEN ${column} IS NULL THEN NULL ELSE CAST(ntile(${BINS}) OVER (PARTITION BY ${column} IS NULL ORDER BY ${number}) AS VARCHAR) END`
      : `CAST(${column} AS VARCHAR)`;
  const groups = `(SELECT ${grouped} AS g, __perennial_fold AS f, __perennial_y AS y FROM ${sample})`;
  const byGroup = Number((await one(OUT_OF_FOLD[task](groups))).score ?? 0);
  const ranks =
    ordered && task !== 'multiclass'
      ? Number((await one(RANKS[task](sample, number, column))).score ?? 0)
      : 0;
  return {
    score: Math.max(0, ...[byGroup, ranks].filter(Number.isFinite)),
    identifies: !/^(DOUBLE|FLOAT|DECIMAL)/.test(type) && given >= LEAST_ROWS && values >= 0.95 * given,
  };
}

/** Sum and count of each group in the folds other than its own; a group that occurs in no other has none. */
const OTHERS = (groups: string): string => `
  own AS (SELECT g, f, count(*) AS n, sum(y) AS s, sum(y * y) AS ss FROM ${groups} GROUP BY g, f),
  others AS (SELECT *, sum(n) OVER w - n AS rest, sum(s) OVER w - s AS rest_s FROM own WINDOW w AS (PARTITION BY g)),
  overall AS (SELECT avg(y) AS mean FROM ${groups}),
  scored AS (SELECT n, s, ss, CASE WHEN rest > 0 THEN rest_s / rest ELSE mean END AS p FROM others, overall)`;

/** The area under the ROC curve, ties counted half, from counts of each score. */
const AREA = (counts: string): string => `
  SELECT sum(pos * (below + neg / 2)) / (sum(pos) * sum(neg)) AS score FROM (
    SELECT *, coalesce(sum(neg) OVER (ORDER BY p ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS below
    FROM (${counts}))`;

const OUT_OF_FOLD: Record<Task, (groups: string) => string> = {
  binary: (groups) =>
    `WITH ${OTHERS(groups)} ${AREA('SELECT round(p, 9) AS p, sum(s) AS pos, sum(n) - sum(s) AS neg FROM scored GROUP BY 1')}`,
  regression: (groups) => `WITH ${OTHERS(groups)}
    SELECT 1 - sum(ss - 2 * p * s + n * p * p) / nullif((SELECT var_pop(y) * count(*) FROM ${groups}), 0) AS score FROM scored`,
  multiclass: (groups) => `WITH cells AS (SELECT g, f, y, count(*) AS n FROM ${groups} GROUP BY g, f, y),
    grid AS (SELECT folds.f, c.g, c.y, sum(c.n) FILTER (WHERE c.f <> folds.f) AS rest
      FROM cells c, (SELECT DISTINCT f FROM cells) AS folds GROUP BY folds.f, c.g, c.y),
    guesses AS (SELECT f, g, arg_max(y, (rest, y)) AS guess FROM grid WHERE rest > 0 GROUP BY f, g),
    common AS (SELECT y AS guess, sum(n) AS n FROM cells GROUP BY y ORDER BY n DESC, y LIMIT 1),
    total AS (SELECT sum(n) AS n FROM cells)
    SELECT ((SELECT sum(c.n) FROM cells c LEFT JOIN guesses ON c.f = guesses.f AND c.g IS NOT DISTINCT FROM guesses.g
        WHERE c.y = coalesce(guesses.guess, (SELECT guess FROM common))) - common.n)
      / nullif(total.n - common.n, 0) AS score FROM common, total`,
};

const RANKS: Record<'binary' | 'regression', (sample: string, number: string, column: string) => string> = {
  binary: (sample, number, column) =>
    `SELECT greatest(score, 1 - score) AS score FROM (${AREA(
      `SELECT ${number} AS p, sum(__perennial_y) AS pos, count(*) - sum(__perennial_y) AS neg FROM ${sample} WHERE ${column} IS NOT NULL GROUP BY 1`,
    )})`,
  regression: (sample, number, column) =>
    `SELECT power(corr(a, b), 2) AS score FROM (
      SELECT rank() OVER (ORDER BY ${number}) + (count(*) OVER (PARTITION BY ${number}) - 1) / 2 AS a,
        rank() OVER (ORDER BY __perennial_y) + (count(*) OVER (PARTITION BY __perennial_y) - 1) / 2 AS b
      FROM ${sample} WHERE ${column} IS NOT NULL)`,
};
