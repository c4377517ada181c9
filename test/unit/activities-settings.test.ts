import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { keyOf } from '../../activities/mlflow-runs.ts';
import { datasetSchema } from '../../activities/tracking.ts';
import { withDatabase } from '../../activities/with-database.ts';
import { CONFIG_VARIABLES, configFromEnv } from '../../lib/config.ts';
import { testFrame } from '../support/activity-frame.ts';

describe('PERENNIAL_DUCKDB_MEMORY', () => {
  const memory = (text?: string) => configFromEnv({ PERENNIAL_DUCKDB_MEMORY: text }).duckdbMemory;

  it('is 1GB by default', () => {
    expect(memory()).toBe('1GB');
    expect(Object.keys(CONFIG_VARIABLES)).toContain('PERENNIAL_DUCKDB_MEMORY');
  });

  it.each(['512MB', '2.5GB', '8gb', '16 GiB', '1TB'])('%s', (text) => expect(memory(text)).toBe(text));

  it('is what the database of an activity may use', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-memory-'));
    const frame = testFrame(folder, { duckdbMemory: memory('64MiB') });
    const limit = await withDatabase(frame, (database) =>
      database.row("SELECT current_setting('memory_limit') AS memory"),
    );
    await rm(folder, { recursive: true });
    expect(limit).toEqual({ memory: '64.0 MiB' });
  });

  it.each(['', '0GB', '4', '80%', '-1', '4GB; x', '1KB', 'much'])('not %j', (text) =>
    expect(() => memory(text)).toThrow(/PERENNIAL_DUCKDB_MEMORY is .*such as 4GB/),
  );
});

describe('the schema of a data set', () => {
  const columns = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ name: `a "long" name of column ${i}`, type: 'DOUBLE' }));
  const parsed = (count: number) => JSON.parse(datasetSchema(columns(count)));

  it('names the columns with the types of MLflow', () =>
    expect(
      JSON.parse(
        datasetSchema([
          { name: 'a', type: 'BIGINT' },
          { name: 'b', type: 'VARCHAR' },
        ]),
      ),
    ).toEqual({
      mlflow_colspec: [
        { name: 'a', type: 'double', required: false },
        { name: 'b', type: 'string', required: false },
      ],
    }));

  it('stays JSON below the limit: columns that do not fit are left out', () => {
    expect(parsed(0)).toEqual({ mlflow_colspec: [] });
    expect(parsed(500).mlflow_colspec).toHaveLength(500);
    const { length } = datasetSchema(columns(5_000));
    expect(length).toBeLessThan(60_100);
    expect(length).toBeGreaterThan(59_000);
    expect(parsed(5_000).mlflow_colspec[0]).toEqual(parsed(1).mlflow_colspec[0]);
  });
});

it('a key is a text that a filter cannot misread', () => {
  expect(keyOf("it's")).toMatch(/^[0-9a-f]{64}$/);
  expect(keyOf("it's")).not.toBe(keyOf('its'));
});
