import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';

/** How large the data are. */
export interface PointInTimeSize {
  labels: number;
  events: number;
  entities: number;
}

const DAYS = 90;
const SECONDS = DAYS * 86_400;

/**
 * Rows at random whole seconds of {@link DAYS} days, in no order: some labels and events have the same moment. A row is
 * a function of its number and the seed alone, whatever thread makes it. Of one whole number DuckDB's hash is good; of
 * several it is not, and the columns would hang together.
 */
const rowsSql = (rows: number, entities: number, seed: number, others: string): string => {
  const random = (what: number): string => `(hash(i * 8 + ${seed * 4 + what}) / 18446744073709551616.0)`;
  return `SELECT CAST(floor(${random(1)} * ${entities}) AS BIGINT) AS account,
    TIMESTAMP '2026-01-01' + to_seconds(CAST(floor(${random(2)} * ${SECONDS}) AS BIGINT)) AS moment, ${others.replace('RANDOM', random(3))}
    FROM range(${rows}) AS t(i)`;
};

/** Writes `events.parquet` and `labels.parquet` into a folder, unless they are there. */
export async function writePointInTimeData(
  folder: string,
  { labels, events, entities }: PointInTimeSize,
): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    for (const [name, sql] of [
      // Euro and cents, from nothing to some thousands.
      ['events', rowsSql(events, entities, 0, 'round(-120 * ln(1 - RANDOM), 2) AS amount')],
      ['labels', rowsSql(labels, entities, 1, 'i AS label')],
    ] as const) {
      const path = join(folder, `${name}.parquet`);
      if (!existsSync(path)) await connection.run(`COPY (${sql}) TO '${path}' (FORMAT parquet)`);
    }
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
