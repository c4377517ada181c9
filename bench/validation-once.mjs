// One validation in a process of its own: node validation-once.mjs ours|typed|snapshot|quarantine|bare|tables FILE FOLDER
// Prints one JSON line: seconds and CPU seconds without the process's start, rows, peak memory.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { parse } from 'yaml';
import { expectation } from '../dist/contracts/spec/expectations.js';
import { fileSource } from '../dist/contracts/spec/sources.js';
import { Database } from '../dist/lib/duckdb/database.js';
import { runExpectations } from '../dist/lib/expectations/run.js';
import { readTyped } from '../dist/lib/sources/typed-reading.js';

const [mode, file, folder] = process.argv.slice(2);
const csv = file.endsWith('.csv');

/** The query of peers/c_duckdb.py. */
const BARE = `SELECT count(*) n,
 count(*)-count(id), count(*)-count(amount), count(*)-count(country), count(*)-count(sku), count(*)-count(event_ts),
 count(*)-count(DISTINCT id),
 count_if(NOT(amount BETWEEN 0 AND 1000)), count_if(NOT(age BETWEEN 18 AND 90)), count_if(NOT(score BETWEEN -100 AND 200)),
 count_if(NOT(ratio BETWEEN 0 AND 1)), count_if(NOT(clicks BETWEEN 0 AND 1000)),
 count_if(country NOT IN ('DE','FR','US','JP','BR')), count_if(plan NOT IN ('free','basic','pro')), count_if(churn NOT IN (true,false)),
 count_if(NOT regexp_full_match(sku,'SKU-[0-9]{5}')), count_if(NOT regexp_full_match(country,'[A-Z]{2}')),
 avg(amount), avg(score), avg(clicks),
 count_if(NOT(signup BETWEEN DATE '2020-01-01' AND DATE '2025-01-01'))
 FROM ${csv ? 'read_csv' : 'read_parquet'}('${file}')`;

/** Has an engine of its own do something before or beside the validation. */
async function plain(work) {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' });
  const connection = await instance.connect();
  try {
    return await work(connection);
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The reader with all that detection by the first rows found out, as the pass beside it has it. */
async function sniffed() {
  const [[prompt]] = await plain(async (connection) =>
    (await connection.runAndReadAll(`SELECT Prompt FROM sniff_csv('${file}')`)).getRows(),
  );
  return { relation: `(${prompt.replace(/;\s*$/, '')})`, files: [file] };
}

/** Does something with the CSV's rows as ingest reads them: nothing is lost in them. */
async function withRows(take) {
  const database = await Database.create({ tempDir: join(folder, 'spill'), threads: 2 });
  const readable = { files: [file], format: 'csv', partitioned: false, finished: false };
  try {
    return await readTyped(database, 'bench', fileSource.parse({ path: file }), readable, (query) =>
      take(query, database),
    );
  } finally {
    database.close();
  }
}

async function ours() {
  const spec = parse(await readFile(join(import.meta.dirname, 'validation.yaml'), 'utf8'));
  if (mode === 'quarantine')
    spec.expectations.push({ expect: 'range', column: 'amount', max: 995, rows: 'quarantine' });
  const rules = spec.expectations.map((rule) => expectation.parse(rule));
  let table = { path: file };
  if (csv && mode === 'snapshot') {
    const path = join(folder, 'snapshot.parquet');
    await withRows((query, database) => database.copyToParquet(query, path));
    table = { path };
  } else if (csv && mode === 'typed')
    table = await withRows(async (query) => ({ relation: `(${query})`, files: [file] }));
  else if (csv) table = await sniffed();
  const { report, scans } = await runExpectations({
    table,
    rules,
    asOf: '2026-01-01T00:00:00Z',
    outputDir: folder,
    tempDir: join(folder, 'spill'),
    threads: 2,
  });
  const failed = report.results.filter((result) => !result.passed).map((result) => result.expectation);
  if (failed.length > 0) throw new Error(`failed: ${failed.join(', ')}`);
  return { rows: report.table.rows, scans, quarantined: report.quarantined };
}

const bare = () =>
  plain(async (connection) => {
    const [row] = (await connection.runAndReadAll(BARE)).getRowsJS();
    return { rows: Number(row[0]), scans: 1 };
  });

/** The pass, then what a script would write by hand: the rows that go on, and the others with their reason. */
const tables = () =>
  plain(async (connection) => {
    const [row] = (await connection.runAndReadAll(BARE)).getRowsJS();
    for (const [name, rows] of [
      ['kept', 'SELECT * FROM t WHERE coalesce(amount <= 995, true)'],
      ['quarantine', "SELECT *, ['amount at most 995'] AS reasons FROM t WHERE amount > 995"],
    ])
      await connection.run(
        `COPY (WITH t AS (FROM read_parquet('${file}')) ${rows}) TO '${join(folder, name)}.parquet' (FORMAT parquet)`,
      );
    return { rows: Number(row[0]), scans: 1 };
  });

const begin = performance.now();
const cpuBegin = process.cpuUsage();
const done = await ({ bare, tables }[mode] ?? ours)();
const seconds = (performance.now() - begin) / 1_000;
const cpu = process.cpuUsage(cpuBegin);
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
const peakMiB = process.resourceUsage().maxRSS / 1_024;
process.stdout.write(`${JSON.stringify({ seconds, cpuSeconds, peakMiB, ...done })}\n`);
