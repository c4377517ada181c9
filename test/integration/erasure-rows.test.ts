import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { sampleSet } from '../../contracts/samples.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { storePlan, takeSteps } from '../../lib/erasure/open-plan.ts';
import { exampleRows } from '../../lib/erasure/rewrite.ts';
import { subjectColumns } from '../../lib/erasure/subject-column.ts';
import { pseudonymOf } from '../../lib/privacy/pseudonym.ts';
import { Secrets } from '../../lib/secrets.ts';
import { ErasureFixture, PSEUDONYM_KEY, personalSpec, secrets } from '../support/erasure-fixture.ts';

let fixture: ErasureFixture;
beforeEach(async () => {
  fixture = await ErasureFixture.create();
});
afterEach(() => fixture.close());

const KEY = { key: PSEUDONYM_KEY, version: 'v1' };

/** What a run stores of its rows: a raw table, its protected parts, matrices, samples, and a report. */
interface Run {
  spec: PipelineSpec;
  ids: number[];
  raw: ArtifactRef;
  parts: { part: ArtifactRef; features: ArtifactRef; labels: ArtifactRef; ids: number[] }[];
  samples: ArtifactRef;
  report: ArtifactRef;
  page: ArtifactRef;
}

let runs = 0;

/** `value` tells the rows of all runs apart, so that no two runs share an artifact. */
async function store(ids: readonly number[]): Promise<Run> {
  const spec = personalSpec();
  const base = ++runs * 100_000;
  const raw = await fixture.table(
    `SELECT unnest([${ids.join(', ')}])::BIGINT AS customer, unnest(range(${base}, ${base + ids.length})) AS value`,
    true,
  );
  const names = ['customer', 'value'];
  await fixture.catalogue.record(spec, {
    artifact: raw,
    kind: 'joined',
    subject: subjectColumns(spec, names, { state: 'raw' }),
  });
  const parts: Run['parts'] = [];
  for (const rest of [0, 1]) {
    const own = ids.flatMap((id, i) => (i % 2 === rest ? [{ id, value: base + i }] : []));
    const tokens = own.map(({ id }) => `'${pseudonymOf(String(id), undefined, KEY)}'`);
    const part = await fixture.table(
      `SELECT unnest([${tokens.join(', ')}]::VARCHAR[]) AS customer, unnest([${own.map(({ value }) => value).join(', ')}]::BIGINT[]) AS value`,
    );
    await fixture.catalogue.record(spec, {
      artifact: part,
      kind: rest === 0 ? 'train' : 'test',
      subject: subjectColumns(spec, names, { state: 'protected', secrets }),
    });
    const features = await fixture.npy(Float32Array.from(own.flatMap(({ value }) => [value, -value])), [
      own.length,
      2,
    ]);
    const labels = await fixture.npy(Int32Array.from(own.map(({ value }) => value)), [own.length]);
    for (const [kind, artifact] of Object.entries({ features, labels }))
      await fixture.catalogue.record(spec, {
        artifact,
        kind,
        format: 'npy',
        rowsOf: { sha256: part.sha256 },
      });
    parts.push({ part, features, labels, ids: own.map(({ id }) => id) });
  }
  const chosen = ids.map((_, i) => i).filter((i) => i % 3 === 0);
  const samples = await fixture.store.putJson({
    rows: chosen.map((i) => ({ value: base + i })),
    expected: { probability: chosen.map((i) => (base + i) / 1e6) },
  });
  const report = {
    ...{ schemaVersion: 1, asOf: '2026-01-01', engine: 'duckdb', passed: true, results: [] },
    ...{ dropped: 0, quarantined: 0, kept: ids.length, table: { rows: ids.length, columns: [] } },
    examples: [0, 1].map((result) => ({
      result,
      columns: ['value'],
      rows: ids.slice(0, 4).map((_, i) => ({ row: i + 1, values: { value: base + i } })),
    })),
  };
  const reportRef = await fixture.store.putJson(report);
  const page = await fixture.store.putBytes(`<p>${base}</p>`, 'text/html');
  await fixture.catalogue.record(spec, {
    artifact: samples,
    kind: 'samples',
    format: 'samples',
    rowsOf: { sha256: raw.sha256, rows: chosen },
  });
  for (const [format, artifact] of [['report', reportRef] as const, ['page', page] as const])
    await fixture.catalogue.record(spec, {
      artifact,
      kind: 'report',
      format,
      rowsOf: { sha256: raw.sha256, rows: exampleRows(report) },
    });
  return { spec, ids: [...ids], raw, parts, samples, report: reportRef, page };
}

/** All that a run stored, as values that tell from which rows they come. */
async function valuesOf(run: Run) {
  const rawRows = await fixture.rows(run.raw);
  const { rows, expected } = sampleSet.parse(await fixture.store.json(run.samples));
  return {
    raw: rawRows.map(({ customer, value }) => [customer, value]),
    parts: await Promise.all(
      run.parts.map(async ({ part, features, labels }) => ({
        rows: (await fixture.rows(part)).map(({ value }) => value),
        features: (await fixture.matrix(features)).map(([first]) => first),
        labels: (await fixture.matrix(labels)).map(([only]) => only),
      })),
    ),
    samples: rows.map(({ value }) => value),
    expected: (expected.probability ?? []).map((value) => Math.round(value * 1e6)),
  };
}

const id = fc.integer({ min: 1, max: 8 });

describe('erasing people', () => {
  it('leaves exactly the other rows, in order and fitting together, one person after another', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(id, { minLength: 4, maxLength: 30 }),
        fc.uniqueArray(id, { maxLength: 3 }),
        async (ids, people) => {
          await fixture.close();
          fixture = await ErasureFixture.create();
          const run = await store(ids);
          const before = await valuesOf(run);
          for (const person of people) {
            const { found, unsearched, taken } = await fixture.erase(fixture.person(String(person)));
            expect([unsearched, taken]).toEqual([[], true]);
            expect(found.some(({ kind }) => kind === 'joined')).toBe(ids.includes(person));
          }
          const base = Number(before.raw[0]?.[1]);
          const stays = (value: unknown): boolean => !people.includes(ids[Number(value) - base] ?? 0);
          const after = await valuesOf(run);
          expect(after).toEqual({
            raw: before.raw.filter(([customer]) => !people.includes(Number(customer))),
            parts: before.parts.map(({ rows, features, labels }) => ({
              rows: rows.filter(stays),
              features: features.filter(stays),
              labels: labels.filter(stays),
            })),
            samples: before.samples.filter(stays),
            expected: before.expected.filter(stays),
          });
          expect(await fixture.store.isEncrypted(run.raw)).toBe(true);
          for (const { part } of run.parts) expect(await fixture.store.isEncrypted(part)).toBe(false);
          for (const person of people)
            expect(
              (await fixture.artifacts().plan(fixture.person(String(person)), fixture.tools)).steps,
            ).toEqual([]);
        },
      ),
      { numRuns: 12 },
    );
  }, 240_000);

  it('takes example rows out of a report, and a page that showed one away', async () => {
    const run = await store([1, 2, 3, 4, 5]);
    await fixture.erase(fixture.person('2'));
    const report = await fixture.store.json(run.report);
    expect(JSON.stringify(report)).not.toContain(String(runs * 100_000 + 1));
    expect(JSON.stringify(report)).toContain(String(runs * 100_000 + 2));
    expect((await fixture.store.bytes(run.page)).toString()).toContain('a person who was erased');
    const untouched = await store([1, 2, 3, 4, 5]);
    await fixture.erase(fixture.person('5'));
    expect((await fixture.store.bytes(untouched.page)).toString()).toBe(`<p>${runs * 100_000}</p>`);
  });

  it('keeps the order of a table of several row groups', async () => {
    const spec = personalSpec({}, 'large');
    const raw = await fixture.table(
      'SELECT (i * 7919) % 1000 AS customer, i AS value, md5(i::VARCHAR) AS text FROM range(400000) t(i)',
    );
    await fixture.catalogue.record(spec, {
      artifact: raw,
      kind: 'snapshot',
      subject: subjectColumns(spec, ['customer'], { state: 'raw' }),
    });
    const { found } = await fixture.erase(fixture.person('77', { pipelines: ['large'] }));
    expect(found).toEqual([
      { store: 'artifacts', kind: 'snapshot', places: 1, rows: 400, pipelines: ['large'] },
    ]);
    const [facts] = await fixture.database.rows(
      `SELECT count(*) AS n, count(*) FILTER (WHERE value < before) AS disorder, count(*) FILTER (WHERE customer = 77) AS left_over
       FROM (SELECT *, lag(value) OVER () AS before FROM read_parquet('${await fixture.path(raw)}'))`,
    );
    expect(facts).toEqual({ n: 399_600, disorder: 0, left_over: 0 });
  });

  it('finds a value however it is written, and says which places it cannot look through', async () => {
    const spec = personalSpec(
      { subject: ['email'], columns: { email: { kind: 'email', action: 'pseudonym' } } },
      'mail',
    );
    const raw = await fixture.table(
      "SELECT unnest(['Ann@Example.com ', 'bob@example.com', NULL]) AS email, unnest([1, 2, 3]) AS value",
    );
    const subject = subjectColumns(spec, ['email'], { state: 'raw' });
    await fixture.catalogue.record(spec, { artifact: raw, kind: 'snapshot', subject });
    const other = await fixture.table('SELECT 5 AS address, 7 AS number');
    await fixture.catalogue.record(spec, { artifact: other, kind: 'snapshot', subject: [] });
    const token = pseudonymOf('ann@example.com', 'email', KEY);
    const part = await fixture.table(`SELECT '${token}' AS email, 1.5 AS value`);
    await fixture.catalogue.record(spec, {
      artifact: part,
      kind: 'train',
      subject: subjectColumns(spec, ['email'], { state: 'protected', secrets }),
    });
    const onlyHere = { pipelines: ['mail'] };
    const withoutKey = await fixture
      .artifacts()
      .plan(
        fixture.person(
          'ANN@example.com',
          onlyHere,
          new Secrets({ PERENNIAL_SECRET_PSEUDONYM_KEY: 'another key of 16 bytes' }),
        ),
        fixture.tools,
      );
    expect(withoutKey.unsearched.map(({ kind, why }) => [kind, why])).toEqual(
      expect.arrayContaining([
        ['snapshot', expect.stringContaining('privacy.subjectIn')],
        ['train', expect.stringContaining('PERENNIAL_SECRET_PSEUDONYM_KEY_V1')],
      ]),
    );
    const underOldName = new Secrets({
      PERENNIAL_SECRET_PSEUDONYM_KEY: 'another key of 16 bytes',
      PERENNIAL_SECRET_PSEUDONYM_KEY_V1: PSEUDONYM_KEY,
    });
    const { found } = await fixture.erase(fixture.person('ANN@example.com', onlyHere, underOldName));
    expect(found.map(({ kind, rows }) => [kind, rows])).toEqual(
      expect.arrayContaining([
        ['snapshot', 1],
        ['train', 1],
      ]),
    );
    expect((await fixture.rows(raw)).map(({ value }) => value)).toEqual([2, 3]);
    expect(await fixture.rows(part)).toEqual([]);
  });

  it('lets the same labels come back from other rows, never the table of the person', async () => {
    const run = await store([1, 2, 3, 4]);
    const [train] = run.parts;
    if (!train) throw new Error('no part');
    const labels = await fixture.matrix(train.labels);
    await fixture.erase(fixture.person('3'));
    expect(await fixture.matrix(train.labels)).toHaveLength(1);
    const again = await fixture.npy(Int32Array.from(labels.flat()), [labels.length]);
    expect(again).toEqual(train.labels);
    expect(await fixture.matrix(again)).toEqual(labels);
    const ofOthers = await fixture.store.putFile(await fixture.path(run.raw), run.raw.mediaType);
    expect(await fixture.rows(ofOthers)).toHaveLength(3);
  });

  it('keeps bytes that are just as well those of rows without the person', async () => {
    const spec = personalSpec({}, 'twins');
    const labels = await fixture.npy(new Int32Array([0, 1, 987_001]), [3]);
    for (const [first, fill] of [
      ['61', 0],
      ['62', 1],
    ] as const) {
      const part = await fixture.table(`SELECT unnest([${first}, 63, 64]) AS customer, ${fill} AS fill`);
      await fixture.catalogue.record(spec, {
        artifact: part,
        kind: 'train',
        subject: subjectColumns(spec, ['customer'], { state: 'raw' }),
      });
      await fixture.catalogue.record(spec, {
        artifact: labels,
        kind: 'labels',
        format: 'npy',
        rowsOf: { sha256: part.sha256 },
      });
    }
    await fixture.erase(fixture.person('61', { pipelines: ['twins'] }));
    expect(await fixture.matrix(labels)).toHaveLength(3);
    // Both tables lose it, at the same place.
    await fixture.erase(fixture.person('64', { pipelines: ['twins'] }));
    expect((await fixture.artifacts().plan(fixture.person('64'), fixture.tools)).steps).toEqual([]);
    expect(await fixture.matrix(labels)).toEqual([[0], [1]]);
  });
});

describe('an erasure that is killed', () => {
  it('is finished by the next attempt, whatever step it was in', async () => {
    const run = await store([1, 2, 3, 2, 5, 2]);
    const before = await valuesOf(run);
    const rows = fixture.artifacts();
    const { steps } = await rows.plan(fixture.person('2'), fixture.tools);
    const plan = await storePlan(fixture.store, {
      certificate: 'killed',
      steps: steps.map((step) => ({ store: 'artifacts', step })),
    });
    for (let stop = 0; stop < steps.length; stop++) {
      let taken = 0;
      const dying = {
        name: 'artifacts',
        plan: rows.plan.bind(rows),
        isCurrent: rows.isCurrent.bind(rows),
        erase: async (...step: Parameters<typeof rows.erase>) => {
          if (taken++ === stop) throw new Error('killed');
          return rows.erase(...step);
        },
      };
      await expect(
        takeSteps(fixture.store, [dying], { plan, certificate: 'killed' }, fixture.tools),
      ).rejects.toThrow('killed');
    }
    // Another person's erasure comes first: it finishes what lies there, and has to look again.
    const other = await fixture.erase(fixture.person('5'));
    expect(other.taken).toBe(false);
    await fixture.erase(fixture.person('5'));
    const base = Number(before.raw[0]?.[1]);
    const left = [base, base + 2];
    const after = await valuesOf(run);
    expect(after.raw.map(([, value]) => value)).toEqual(left);
    expect(after.parts.map((part) => part.rows)).toEqual([left, []]);
    expect(after.parts.map((part) => [part.features, part.labels])).toEqual([
      [left, left],
      [[], []],
    ]);
  });

  it('leaves no bytes where the erasure was written down, and they were not deleted yet', async () => {
    const run = await store([1, 2, 3]);
    const rows = fixture.artifacts();
    const { steps } = await rows.plan(fixture.person('2'), fixture.tools);
    const { store: artifacts } = fixture;
    const bytesOf = async (): Promise<string[]> => (await artifacts.blobs()).map(({ sha256 }) => sha256);
    const replacement = await artifacts.putJson('what took its place');
    await artifacts.erasures.record(run.raw.sha256, replacement, 'killed');
    expect(await bytesOf()).toContain(run.raw.sha256);
    for (const step of steps) await rows.erase(step, 'killed', fixture.tools);
    expect(await bytesOf()).not.toContain(run.raw.sha256);
    expect(await bytesOf()).toContain(replacement.sha256);
  });

  it('does not take a plan that no longer fits', async () => {
    const run = await store([1, 2, 3, 4]);
    const rows = fixture.artifacts();
    const { steps } = await rows.plan(fixture.person('2'), fixture.tools);
    const plan = await storePlan(fixture.store, {
      certificate: 'late',
      steps: steps.map((step) => ({ store: 'artifacts', step })),
    });
    await fixture.erase(fixture.person('4'));
    const late = { plan, certificate: 'late' };
    expect(await takeSteps(fixture.store, [rows], late, fixture.tools)).toBe(false);
    expect((await valuesOf(run)).raw.map(([customer]) => customer)).toEqual([1, 2, 3]);
  });
});
