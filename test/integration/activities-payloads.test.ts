import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { jsonBytes, MAX_OUTPUT_BYTES, MAX_SPEC_BYTES } from '../../contracts/payload-limits.ts';
import { type PipelineSpec, type PipelineSpecInput, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { AS_OF, NO_CACHE } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

/** The widest table that a pipeline may have, and the most rules. */
const COLUMNS = 500;
const RULES = 1_000;
const KIB = 1024;

let platform: TestPlatform;
beforeAll(async () => {
  platform = await TestPlatform.start();
}, 120_000);
afterAll(async () => {
  await platform?.close();
}, 60_000);

/** A CSV file of numbers whose columns have names of 63 characters, the longest that PostgreSQL has. */
async function wideFile(name: string, columns: number, rows: number): Promise<string> {
  const path = join(platform.folder, `${name}.csv`);
  const line = (cell: (column: number) => string) =>
    Array.from({ length: columns }, (_, i) => cell(i)).join(',');
  const lines = Array.from(
    { length: rows },
    (_, row) => `${row % 2},${line((i) => String((row * (i + 7)) % 97))}`,
  );
  await writeFile(path, `y,${line(columnName)}\n${lines.join('\n')}\n`);
  return path;
}
const columnName = (i: number): string => `c${i}_`.padEnd(63, 'measured_value_');

const specOf = (more: Partial<PipelineSpecInput>): PipelineSpec =>
  pipelineSpec.parse({
    name: 'wide',
    task: 'binary',
    data: { sources: {} },
    columns: { target: 'y' },
    candidates: ['logistic', 'lightgbm'],
    ...more,
  });

it('a table of 500 columns under 1,000 rules travels', { timeout: 300_000 }, async () => {
  const path = await wideFile('wide', COLUMNS - 1, 400);
  const spec = specOf({
    data: { sources: { wide: path } },
    // Half of them fail: what failed travels first.
    expectations: Array.from({ length: RULES }, (_, i) => ({
      expect: 'range' as const,
      column: columnName(i % (COLUMNS - 1)),
      min: 0,
      max: i % 2 === 0 ? 100 : 1,
      severity: 'warn' as const,
    })),
  });
  const cache = NO_CACHE;
  const ingest = await platform.run('ingest', { spec, cache });
  expect(ingest.table.columns).toHaveLength(COLUMNS);
  const validate = await platform.run('validate', { spec, ingest, asOf: AS_OF, champion: null, cache });
  const protect = await platform.run('protect', { spec, ingest, validate, cache });
  const split = await platform.run('split', { spec, protect, cache });
  const prepare = await platform.run('prepare', { spec, split, cache });
  const outputs = { ingest, validate, protect, split, prepare };
  const sizes = Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [name, jsonBytes(output)]),
  );
  expect(jsonBytes(spec)).toBeLessThan(MAX_SPEC_BYTES);
  for (const [name, bytes] of Object.entries(sizes)) expect(bytes, name).toBeLessThan(256 * KIB);
  // What each stage may hand on has room for several such tables.
  for (const name of ['ingest', 'validate', 'protect', 'split', 'prepare'] as const)
    expect(sizes[name], name).toBeLessThan(MAX_OUTPUT_BYTES[name] * 0.8);
});

it('sources of more than 5,000 columns together are refused once they are', {
  timeout: 300_000,
}, async () => {
  const path = await wideFile('widest', 1_700, 3);
  const sources = { a: path, b: path, c: path, d: '/nowhere/never-read.csv' };
  const spec = specOf({ data: { sources, sql: 'SELECT y FROM a' } });
  await expect(platform.run('ingest', { spec, cache: NO_CACHE })).rejects.toThrow(
    'data.sources: the sources up to c have 5103 columns together, at most 5000 are supported',
  );
});
