import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';

/** The table of the peers' measure: eight numbers and four categories; `shift` moves three of them. */
const driftRows = (rows: number, shift: number): string => {
  const normal = (mean: number, deviation: number): string =>
    `round(sqrt(-2*ln(random()+1e-12))*cos(2*pi()*random())*${deviation}+${mean},5)`;
  return `SELECT ${normal(shift, 1)} n1, ${normal(5, 2)} n2, ${normal(10, 3 + shift)} n3, ${normal(-1, 1)} n4,
    round(random()*100,4) n5, round(-ln(random()+1e-12)*${1 + shift},5) n6,
    CAST(random()*50 AS INTEGER) n7, ${normal(0, 1)} n8,
    ['a','b','c','d'][1+CAST(floor(power(random(),${1 + shift})*4) AS INT)] c1,
    ['x','y','z'][1+CAST(floor(random()*3) AS INT)] c2,
    'k'||CAST(floor(random()*20) AS INT) c3, ['u','v'][1+CAST(floor(random()*2) AS INT)] c4
    FROM range(${rows})`;
};

/** Writes `ref.parquet` and `cur.parquet` into a folder, unless they are there. */
export async function writeDriftData(folder: string, rows: number): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    for (const [name, shift, seed] of [
      ['ref', 0, 0.1],
      ['cur', 0.2, 0.7],
    ] as const) {
      const path = join(folder, `${name}.parquet`);
      if (existsSync(path)) continue;
      await connection.run(`SELECT setseed(${seed})`);
      await connection.run(`COPY (${driftRows(rows, shift)}) TO '${path}' (FORMAT parquet)`);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
