import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { MlflowClient } from '../../src/index.ts';
import { type EndpointTables, type LeftOutRow, readEndpointTables } from '../support/endpoint-table.ts';
import { findPython } from '../support/mlflow-server.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** `[HTTP method, path]` pairs. */
let declared: [string, string][] = [];
let tables: EndpointTables;

beforeAll(async () => {
  const { stdout } = await promisify(execFile)(findPython(), [here('../support/list_endpoints.py')]);
  declared = JSON.parse(stdout);
  tables = await readEndpointTables();
});

function leavesOut(row: LeftOutRow, [http, path]: [string, string]): boolean {
  if (row.http !== '*' && row.http !== http) return false;
  return row.path.endsWith('*') ? path.startsWith(row.path.slice(0, -1)) : path === row.path;
}

describe('ENDPOINTS.md', () => {
  it('holds every endpoint the installed MLflow declares, once', () => {
    const covered = tables.covered.map((row) => `${row.http} ${row.path}`);
    expect(new Set(covered).size).toBe(covered.length);
    const expected = declared
      .filter((endpoint) => !tables.leftOut.some((row) => leavesOut(row, endpoint)))
      .map((endpoint) => endpoint.join(' '));
    expect([...covered].sort()).toEqual([...expected].sort());
  });

  it('covers nothing it says it leaves out, and gives reasons', () => {
    for (const row of tables.leftOut) {
      expect(row.reason.length, `${row.http} ${row.path}`).toBeGreaterThan(10);
      expect(
        declared.some((endpoint) => leavesOut(row, endpoint)),
        `${row.path} leaves nothing out`,
      ).toBe(true);
      expect(tables.covered.filter((covered) => leavesOut(row, [covered.http, covered.path]))).toEqual([]);
    }
  });

  it('names methods the client has', () => {
    const client: object = new MlflowClient({ trackingUri: 'http://127.0.0.1:1' });
    for (const { method } of [...tables.covered, ...tables.routes]) {
      let at: unknown = client;
      for (const name of method.split('.'))
        at = typeof at === 'object' && at !== null ? Reflect.get(at, name) : undefined;
      expect(typeof at, `client.${method}`).toBe('function');
    }
  });

  it('names every method of the table of the README', async () => {
    const readme = await readFile(here('../../README.md'), 'utf8');
    for (const { method } of [...tables.covered, ...tables.routes]) expect(readme).toContain(`\`${method}\``);
  });

  it('names tests that exist', async () => {
    const files = (await readdir(here('.'))).filter((name) => name.endsWith('.test.ts'));
    const sources = await Promise.all(files.map((name) => readFile(here(name), 'utf8')));
    const names = new Set(
      sources.flatMap((source) => [...source.matchAll(/\bit\(\s*'([^']+)'/g)].map((m) => m[1])),
    );
    for (const row of [...tables.covered, ...tables.routes]) {
      expect(names.has(row.test), `${row.http} ${row.path}: no test "${row.test}"`).toBe(true);
    }
  });
});
