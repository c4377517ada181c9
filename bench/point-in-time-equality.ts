import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { table } from './figures.ts';

const WINDOWS = { h1: '1h', h6: '6h', h24: '24h', d7: '7d' };
/** Ways to sum doubles differ in the last digits; a wrong event or a missing one does so in the first. */
const TOLERANCE = 1e-9;

/**
 * Holds the results that a folder has, all windows of all labels, against each other: those of SQL against ours; those
 * of Feast against DuckDB's own `ASOF JOIN` of the same means, and against ours.
 *
 * @returns a table; a number that is not nothing in a line of SQL, or in Feast's first one, is a mistake
 */
export async function differences(home: string, modes: readonly string[], feast: boolean): Promise<string> {
  const file = (name: string): string => `'${join(home, `${name}.parquet`)}'`;
  const ours = `SELECT label, ${Object.entries(WINDOWS)
    .map(([name, window]) => `paid_mean_${window} AS ${name}`)
    .join(', ')} FROM ${file('ours')}`;
  // What Feast is asked: the latest means up to the moment of a label, of not more than seven days.
  const latest = `SELECT label, ${Object.keys(WINDOWS)
    .map((name) => `CASE WHEN means.moment >= labels.moment - INTERVAL 7 DAYS THEN ${name} END AS ${name}`)
    .join(', ')} FROM ${file('labels')} AS labels ASOF LEFT JOIN ${file('means')} AS means
    ON labels.account = means.account AND labels.moment >= means.moment`;
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: '4GB',
    temp_directory: join(home, 'spill'),
  });
  const connection = await instance.connect();
  try {
    const line = async (name: string, left: string, right: string): Promise<string[]> => {
      const each = Object.keys(WINDOWS).map((column) => ({
        differs: `(a.${column} IS NULL) <> (b.${column} IS NULL) OR NOT coalesce(abs(a.${column} - b.${column}) <= ${TOLERANCE} * greatest(1, abs(a.${column})), true)`,
        most: `max(abs(a.${column} - b.${column}))`,
      }));
      const reader = await connection.runAndReadAll(
        `SELECT count(*) AS labels, count_if(b.label IS NULL OR a.label IS NULL) AS missing,
           ${each.map(({ differs }) => `count_if(${differs})`).join(' + ')} AS different,
           greatest(${each.map(({ most }) => most).join(', ')}) AS most
         FROM (${left}) AS a FULL JOIN (${right}) AS b USING (label)`,
      );
      const [row = []] = reader.getRowsJS();
      const [labels, missing, different, most] = row.map(Number);
      return [name, String(labels), String(missing), String(different), (most ?? 0).toExponential(1)];
    };
    const lines: string[][] = [];
    for (const mode of modes)
      if (['range', 'sums', 'pairs'].includes(mode))
        lines.push(await line(`${mode}, ours`, ours, `FROM ${file(mode)}`));
    if (feast) {
      lines.push(await line('Feast, the same means by `ASOF JOIN`', latest, `FROM ${file('feast')}`));
      lines.push(await line('Feast, ours', ours, `FROM ${file('feast')}`));
    }
    return table(
      ['compared', 'labels', 'missing labels', 'different numbers, of four each', 'greatest difference'],
      lines,
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
