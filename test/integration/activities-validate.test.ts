import { afterAll, beforeAll, expect, it } from 'vitest';
import { validate } from '../../activities/validate.ts';
import type { TableRef } from '../../contracts/refs.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { IngestOutput } from '../../contracts/stages.ts';
import { MASKED, validationReport } from '../../contracts/validation-report.ts';
import { validationProblem } from '../../domain/validation.ts';
import { configFromEnv } from '../../lib/config.ts';
import { testFrame } from '../support/activity-frame.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const SQL =
  "SELECT i AS id, CASE WHEN i < 5 THEN NULL ELSE i END AS x, i % 2 AS y, 'DE' AS country FROM range(1000) r(i)";

interface Given {
  sql?: string;
  /** What the source `countries` holds. */
  source?: string;
  privacy?: object;
  /** The training data of the champion. */
  champion?: TableRef;
}

async function run(
  expectations: object[],
  {
    sql = SQL,
    source = "SELECT 'DE' AS code",
    privacy = { columns: { name: 'keep' } },
    champion,
  }: Given = {},
) {
  const { table } = await data.table(sql);
  const { table: snapshot } = await data.table(source);
  const spec = pipelineSpec.parse({
    name: 'people',
    task: 'binary',
    data: {
      sources: { people: 'people.csv', countries: 'countries.csv' },
      sql: 'SELECT * FROM people',
    },
    columns: { target: 'y', entity: 'id' },
    privacy,
    expectations,
    candidates: ['logistic'],
  });
  const ingest: IngestOutput = {
    table,
    digest: table.artifact.sha256,
    sources: [
      {
        name: 'countries',
        kind: 'file',
        origin: 'countries.csv',
        snapshot,
        sourceSha256: snapshot.artifact.sha256,
      },
    ],
    setAside: [],
    findings: [],
  };
  const scratch = await data.scratch();
  const output = await validate(
    { store: async () => data.store, config: configFromEnv({}) },
    {
      spec,
      ingest,
      asOf: '2025-01-01T00:00:00Z',
      champion: champion ? { version: '1', table: champion.artifact } : null,
    },
    testFrame(scratch),
  );
  return { ...output, whole: table };
}

it('the rows that go on, those that do not, and the report are artifacts; twice the same ones', async () => {
  const rules = [
    { expect: 'not_null', column: 'x', rows: 'quarantine' },
    { expect: 'foreign_key', column: 'country', references: 'countries.code' },
    { expect: 'distribution', severity: 'warn' },
    { expect: 'leakage' },
    { expect: 'overlap' },
  ];
  const first = await run(rules);
  expect(await run(rules)).toEqual(first);
  expect(first).toMatchObject({ rows: 1000, quarantined: 5, table: { rows: 995 }, quarantine: { rows: 5 } });
  expect(first.results.map((result) => [result.kind, result.passed, result.note])).toEqual([
    ['not_null', true, undefined],
    ['foreign_key', true, undefined],
    ['distribution', true, expect.stringContaining('there is no champion yet')],
    ['leakage', true, 'x: nearly every value occurs once, like an id'],
  ]);
  if (!first.quarantine) throw new Error('nothing was quarantined');
  expect(await data.rows(first.table)).toHaveLength(995);
  expect((await data.rows(first.quarantine)).map((row) => row.reasons)).toEqual(
    Array(5).fill(['not_null x']),
  );
  const report = validationReport.parse(await data.store.json(first.report));
  expect(report).toMatchObject({ passed: true, kept: 995, quarantined: 5 });
  expect(report.results).toEqual(first.results);
  expect((await data.store.bytes(first.page)).toString('utf8')).toContain('not_null x');
});

it('without removals the table goes on as it is', async () => {
  const { table, quarantine, rows, whole } = await run([{ expect: 'not_null', column: 'id', rows: 'drop' }]);
  expect([table, quarantine, rows]).toEqual([whole, null, 1000]);
});

it('a failed rule is an outcome, which the workflow judges; its words hold no value', async () => {
  const { results } = await run([{ expect: 'not_null', column: 'x' }]);
  expect(validationProblem(results)).toBe(
    '1 of 1 expectations failed\nnot_null x: 5 of 1000 rows (0.5 %); expected no violating row',
  );
});

it('personal values are in no report and no page, and what is made of them is encrypted', async () => {
  const sql =
    "SELECT i AS id, 'Zelda Quux' || i AS name, CASE WHEN i < 5 THEN NULL ELSE i END AS x, i % 2 AS y FROM range(1000) r(i)";
  const output = await run([{ expect: 'not_null', column: 'x', rows: 'quarantine' }], { sql });
  const report = validationReport.parse(await data.store.json(output.report));
  expect(report.examples[0]?.rows[0]?.values).toMatchObject({ id: '0', name: MASKED });
  for (const ref of [output.report, output.page])
    expect((await data.store.bytes(ref)).toString('utf8')).not.toContain('Zelda');
  if (!output.quarantine) throw new Error('nothing was quarantined');
  for (const { artifact } of [output.table, output.quarantine])
    expect(await data.store.isEncrypted(artifact)).toBe(true);
});

it("a source's personal columns are masked too: those that are declared and those that are found", async () => {
  const source =
    "SELECT NULL::INTEGER AS code, 'Zelda' || i AS place, 'zelda' || i || '@example.org' AS mail, 'Quux' || i AS name, 'plain' AS other FROM range(50) r(i)";
  const rules = [{ expect: 'not_null', column: 'code', on: 'countries', severity: 'warn' }];
  const shown = async (privacy: object) => {
    const output = await run(rules, { source, privacy });
    return validationReport.parse(await data.store.json(output.report)).examples[0]?.rows[0]?.values;
  };
  const columns = { name: 'drop' };
  const plain = { code: null, other: 'plain', place: 'Zelda0' };
  expect(await shown({ columns })).toEqual({ ...plain, mail: MASKED, name: MASKED });
  expect(await shown({ columns, detection: { verified: 'off', likely: 'off' } })).toEqual({
    ...plain,
    mail: 'zelda0@example.org',
    name: MASKED,
  });
});

it('where people can be erased, rows of sources are in no report: an erasure would take them for others', async () => {
  const output = await run(
    [
      { expect: 'not_null', column: 'code', on: 'countries', severity: 'warn' },
      { expect: 'not_null', column: 'x', severity: 'warn' },
    ],
    { source: 'SELECT NULL::INTEGER AS code', privacy: { subject: 'id' } },
  );
  const { results, examples } = validationReport.parse(await data.store.json(output.report));
  expect(results.map(({ on, violations }) => [on, violations])).toEqual([
    ['countries', 1],
    [null, 5],
  ]);
  expect(examples.map(({ result }) => result)).toEqual([1]);
});

it('how a personal column moved is told without its categories', async () => {
  const people = (name: string) =>
    `SELECT i AS id, '${name}' || (i % 3) AS name, 'town' || (i % 3) AS town, i % 2 AS y FROM range(300) r(i)`;
  const { table: champion } = await data.table(people('Zelda'));
  const { page } = await run([{ expect: 'distribution', severity: 'warn' }], {
    sql: people('Quux'),
    champion,
  });
  const shown = (await data.store.bytes(page)).toString('utf8');
  expect(shown).toContain('town1: 33');
  expect(shown).not.toMatch(/Zelda|Quux/);
});

it('a table that moved against the champion fails by the statistic that is asked for, with its known value', async () => {
  const rows = (shift: number, town: string, missing: number) =>
    `SELECT i AS id, i % 2 AS y, i % 100 + ${shift} AS x, CASE WHEN i % 10 = 0 THEN '${town}' ELSE 'Ulm' END AS town,
     CASE WHEN i % 100 < ${missing} THEN NULL ELSE 1.5 END AS z FROM range(1000) r(i)`;
  const { table: champion } = await data.table(rows(0, 'Bonn', 0));
  const limits = {
    psi: { psi: { max: 0.2 }, columns: ['x'] },
    ks: { ks: { max: 0.2 }, columns: ['x'] },
    jensenShannon: { jensenShannon: { max: 0.2 }, columns: ['x'] },
    chiSquare: { chiSquare: { maxCramersV: 0.1 }, columns: ['town'] },
    newCategories: { newCategories: { maxShare: 0.05 }, columns: ['town'] },
    missing: { missing: { maxIncrease: 0.1 }, columns: ['z'] },
  };
  const rest = { psi: { max: 99 }, newCategories: { maxShare: 1 }, missing: { maxIncrease: 1 } };
  const rules = Object.entries(limits).map(([name, limit]) => ({
    ...{ expect: 'distribution', name },
    ...{ ...rest, ...limit },
  }));
  const same = await run(rules, { sql: rows(0, 'Bonn', 0), champion });
  expect(same.results.map(({ passed }) => passed)).toEqual(rules.map(() => true));
  const moved = await run(rules, { sql: rows(30, 'Kiel', 20), champion });
  // By hand: three of ten deciles empty (half a row each) and the last with four tenths; a hundred rows of Bonn became
  // Kiel, so that χ² is 4 · 50² / 50.
  expect(moved.results.map(({ expectation, passed, observed }) => [expectation, passed, observed])).toEqual(
    Object.entries({
      psi: 'x (PSI 1.997)',
      ks: 'x (KS 0.3)',
      jensenShannon: 'x (Jensen-Shannon 0.4685)',
      chiSquare: "town (Cramér's V 0.3162)",
      newCategories: 'town (new categories 0.1)',
      missing: 'z (missing + 0.2)',
    }).map(([name, words]) => [name, false, `1 of 1 columns moved: ${words}`]),
  );
});
