/**
 * What is on record of every answer, whoever gave it: the columns and SQL types of the prediction log, which batch
 * scoring writes as well. `row` counts from 0; a batch may have more rows than an INTEGER holds, and widens it.
 */
export const LOG_COLUMN_TYPES = {
  request_id: 'VARCHAR',
  row: 'INTEGER',
  time: 'TIMESTAMP',
  endpoint: 'VARCHAR',
  version: 'VARCHAR',
  digest: 'VARCHAR',
  generation: 'BIGINT',
  role: 'VARCHAR',
  reason: 'VARCHAR',
  instead_of: 'VARCHAR',
  latency_ms: 'FLOAT',
  entity: 'VARCHAR',
} as const;

/** Their names, in their order. */
export const LOG_COLUMNS: readonly string[] = Object.keys(LOG_COLUMN_TYPES);
