import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';

/** The table of the peers' measure: 12 columns, 2 % missing in four of them, nothing that violates a rule. */
export const validationRows = (rows: number): string => `SELECT i AS id,
 round(random()*1000,4) AS amount,
 CASE WHEN random()<.02 THEN NULL ELSE CAST(18+random()*72 AS INTEGER) END AS age,
 CASE WHEN random()<.02 THEN NULL ELSE round(sqrt(-2*ln(random()+1e-12))*cos(2*pi()*random())*15+50,4) END AS score,
 ['DE','FR','US','JP','BR'][1+CAST(floor(random()*5) AS INT)] AS country,
 CASE WHEN random()<.02 THEN NULL ELSE ['free','basic','pro'][1+CAST(floor(random()*3) AS INT)] END AS plan,
 'SKU-'||lpad(CAST(CAST(random()*99999 AS INT) AS VARCHAR),5,'0') AS sku,
 DATE '2020-01-01'+CAST(floor(random()*1800) AS INT) AS signup,
 TIMESTAMP '2025-01-01'+to_seconds(CAST(random()*31536000 AS BIGINT)) AS event_ts,
 random()<.3 AS churn,
 CASE WHEN random()<.02 THEN NULL ELSE round(random(),6) END AS ratio,
 CAST(random()*1000 AS INTEGER) AS clicks
 FROM range(${rows}) r(i)`;

/** Writes `c.parquet` and `c.csv` into a folder, unless they are there. */
export async function writeValidationData(folder: string, rows: number): Promise<void> {
  if (existsSync(join(folder, 'c.csv')) && existsSync(join(folder, 'c.parquet'))) return;
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    await connection.run('SELECT setseed(0.42)');
    await connection.run(`CREATE TABLE t AS ${validationRows(rows)}`);
    await connection.run(`COPY t TO '${join(folder, 'c.parquet')}' (FORMAT parquet, ROW_GROUP_SIZE 250000)`);
    await connection.run(`COPY t TO '${join(folder, 'c.csv')}' (HEADER)`);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
