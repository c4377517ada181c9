import { mkdir, readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ActivityFrame } from '../../activities/frame.ts';
import { prepare } from '../../activities/prepare.ts';
import { RecordedRows } from '../../activities/recorded-rows.ts';
import { artifactRefs } from '../../contracts/artifact-digests.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { type PipelineSpec, type PipelineSpecInput, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { type PreparedFeatures, prepareOutput, type SplitOutput } from '../../contracts/stages.ts';
import { rangesSql } from '../../lib/data/folds.ts';
import { collectOutOfFold } from '../../lib/data/out-of-fold.ts';
import { splitTable } from '../../lib/data/split.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { pseudonymOf } from '../../lib/privacy/pseudonym.ts';
import { ErasureFixture, PSEUDONYM_KEY } from '../support/erasure-fixture.ts';

let fixture: ErasureFixture;
beforeAll(async () => {
  process.env.PERENNIAL_SECRET_PSEUDONYM_KEY = PSEUDONYM_KEY;
  fixture = await ErasureFixture.create();
});
afterAll(async () => {
  delete process.env.PERENNIAL_SECRET_PSEUDONYM_KEY;
  await fixture.close();
});

const ROWS = 1_000;
const PEOPLE = 200;

const specOf = (crossValidation?: object, more: Partial<PipelineSpecInput> = {}): PipelineSpec =>
  pipelineSpec.parse({
    name: 'folds',
    task: 'regression',
    data: { sources: { people: 'people.csv' } },
    columns: { target: 'y', entity: ['customer'], timestamp: 'at', ignored: ['id'] },
    privacy: {
      subject: 'customer',
      columns: { customer: 'pseudonym' },
      pseudonymKey: '${env:PERENNIAL_SECRET_PSEUDONYM_KEY}',
    },
    features: {
      numeric: { scale: 'none', missingIndicator: false },
      columns: { town: { encoding: 'target' }, spread: { scale: 'standard' } },
    },
    candidates: ['lightgbm', 'linear'],
    training: { ...(crossValidation ? { crossValidation } : {}) },
    ...more,
  } as PipelineSpecInput);

/** `x` is the row, `y` too: matrices and labels that do not fit together are seen. */
const tableSql = (spread = 'id % 89') => {
  const tokens = Array.from({ length: PEOPLE }, (_, i) =>
    pseudonymOf(String(i), undefined, { key: PSEUDONYM_KEY, version: 'v1' }),
  );
  return `SELECT [${tokens.map(quoteLiteral).join(', ')}][1 + id % ${PEOPLE}] AS customer, id, id::DOUBLE AS x, id::DOUBLE AS y,
    'town ' || id % 7 AS town, (${spread})::DOUBLE AS spread, 'plan ' || id % 4 AS plan, TIMESTAMP '2024-01-01' + to_hours(id) AS at
    FROM (SELECT i AS id FROM range(${ROWS}) r(i))`;
};

async function splitOf(spec: PipelineSpec, sql: string, sensitive = false): Promise<SplitOutput> {
  const path = fixture.newPath();
  const rows = await fixture.database.copyToParquet(sql, path);
  const relation = `read_parquet(${quoteLiteral(path)})`;
  const columns = await fixture.database.columns(relation);
  const table = { artifact: await fixture.store.putFile(path, 'x/y', { encrypt: sensitive }), rows, columns };
  const scratch = fixture.newPath();
  await mkdir(scratch);
  const store = fixture.store.within(scratch, { encrypt: sensitive });
  const parts = await splitTable(fixture.database, relation, table, spec, store, scratch);
  return { ...parts, sensitive, overlap: [] };
}

async function prepared(spec: PipelineSpec, split: SplitOutput) {
  const scratch = fixture.newPath();
  await mkdir(scratch);
  const frame: ActivityFrame = {
    signal: new AbortController().signal,
    report: () => undefined,
    duckdbMemory: undefined,
    scratch: async () => scratch,
  };
  const deps = { store: async () => fixture.store } as Parameters<typeof prepare>[0];
  const output = prepareOutput.parse(await prepare(deps, { spec, split, cache: { mode: 'off' } }, frame));
  const { tree, linear, crossValidation } = { ...output.variants, ...output };
  if (!tree || !linear) throw new Error('two variants are prepared');
  return { output, tree, linear, crossValidation, left: await readdir(scratch) };
}

/** A column of a matrix. */
async function column(
  { featureNames, ...parts }: Pick<PreparedFeatures, 'featureNames' | 'train' | 'validation'>,
  part: 'train' | 'validation',
  name: string,
): Promise<number[]> {
  const names = await fixture.store.json(featureNames);
  const at = Array.isArray(names) ? names.indexOf(name) : -1;
  expect(at).toBeGreaterThanOrEqual(0);
  return (await fixture.matrix(parts[part].features)).map((values) => values[at] ?? Number.NaN);
}

const labelsOf = async (ref: ArtifactRef): Promise<number[]> => (await fixture.matrix(ref)).flat();
const KFOLD = { method: 'kfold', folds: 3 };

describe('features of folds', () => {
  it('are of the rows of the fold, in their order, in each variant', { timeout: 120_000 }, async () => {
    const spec = specOf(KFOLD);
    const split = await splitOf(spec, tableSql());
    const { tree, linear, crossValidation, left } = await prepared(spec, split);
    if (!crossValidation) throw new Error('there are folds');
    expect(crossValidation.table.rows).toBe(split.train.rows + split.validation.rows);
    expect(crossValidation.notes).toEqual([]);
    const table = await fixture.path(crossValidation.table.artifact);
    const judged: number[] = [];
    for (const variant of [tree, linear]) {
      expect(variant.folds).toHaveLength(3);
      for (const [index, fold] of variant.folds.entries())
        for (const part of ['train', 'validation'] as const) {
          const ranges = [crossValidation.folds[index]?.[part] ?? []].flat();
          const ids = (await fixture.database.rows(`SELECT id FROM (${rangesSql(table, ranges)})`)).map(
            ({ id }) => Number(id),
          );
          expect(await column(fold, part, 'x')).toEqual(ids);
          expect(await labelsOf(fold[part].labels)).toEqual(ids);
          expect(fold[part].rows).toBe(ids.length);
          if (variant === tree && part === 'validation') judged.push(...ids);
        }
    }
    const ofParts = [...(await labelsOf(tree.train.labels)), ...(await labelsOf(tree.validation.labels))];
    const ascending = (ids: number[]) => [...ids].sort((a, b) => a - b);
    expect(ascending(judged)).toEqual(ascending(ofParts));
    expect(left.filter((name) => /fold-|npy/.test(name))).toEqual([]);
  });

  it('are not moved by rows that the fold is judged on', { timeout: 120_000 }, async () => {
    const spec = specOf(KFOLD);
    const split = await splitOf(spec, tableSql());
    const before = await prepared(spec, split);
    const judged = await labelsOf(before.tree.folds[0]?.validation.labels ?? split.test.artifact);
    const changed = await splitOf(
      spec,
      tableSql(`CASE WHEN id IN (${judged.join(', ')}) THEN 1e6 ELSE id % 89 END`),
    );
    const after = await prepared(spec, changed);
    const graphs = ({ linear }: typeof before) => linear.folds.map(({ preprocess }) => preprocess.sha256);
    expect(graphs(after)[0]).toBe(graphs(before)[0]);
    expect(graphs(after)[1]).not.toBe(graphs(before)[1]);
    expect(after.linear.preprocess).not.toEqual(before.linear.preprocess);
    expect(after.linear.folds[0]?.train).toEqual(before.linear.folds[0]?.train);
  });

  it('encode training rows without their own target, and judged rows with one value for each category', {
    timeout: 120_000,
  }, async () => {
    const spec = specOf(KFOLD);
    const { tree } = await prepared(spec, await splitOf(spec, tableSql()));
    for (const fold of tree.folds)
      for (const [part, most] of [
        ['train', 5],
        ['validation', 1],
      ] as const) {
        const towns = new Map<number, Set<number>>();
        const [ids, values] = [await labelsOf(fold[part].labels), await column(fold, part, 'town (target)')];
        for (const [row, id] of ids.entries()) {
          const found = towns.get(id % 7) ?? new Set();
          towns.set(id % 7, found.add(values[row] ?? 0));
        }
        expect(towns.size).toBe(7);
        for (const found of towns.values()) expect(found.size).toBe(most);
      }
  });

  it('come beside the same plain ones, and are not there unless asked for', {
    timeout: 120_000,
  }, async () => {
    const split = await splitOf(specOf(), tableSql());
    const plain = await prepared(specOf(), split);
    expect(plain.output).not.toHaveProperty('crossValidation');
    expect([plain.tree.folds, plain.linear.folds]).toEqual([[], []]);
    const folded = await prepared(specOf({ method: 'time', folds: 2, gap: '12h' }), split);
    expect({ ...folded.tree, folds: [] }).toEqual(plain.tree);
    expect(folded.tree.folds).toHaveLength(2);
  });

  it('are encrypted where the parts are', { timeout: 120_000 }, async () => {
    const spec = specOf({ method: 'kfold', folds: 2 });
    const { output } = await prepared(spec, await splitOf(spec, tableSql('id % 83'), true));
    const refs = artifactRefs(output);
    expect(refs.length).toBeGreaterThan(20);
    const open: string[] = [];
    for (const ref of refs) if (!(await fixture.store.isEncrypted(ref))) open.push(ref.mediaType);
    expect(open).toEqual([]);
  });

  it('that cannot be fitted say in which fold', { timeout: 120_000 }, async () => {
    const spec = specOf(
      { method: 'time', folds: 3 },
      { columns: { target: 'y', timestamp: 'at', features: ['spread'] } },
    );
    const split = await splitOf(
      spec,
      tableSql('CASE WHEN id < 100 THEN 5 ELSE id END').replace(`range(${ROWS})`, 'range(400)'),
    );
    await expect(prepared(spec, split)).rejects.toMatchObject({
      code: 'FeatureInvalid',
      message: expect.stringMatching(
        /^training\.crossValidation, fold 1 of 3: None of the feature columns \(spread\)/,
      ),
    });
  });
});

describe('answers out of fold', () => {
  /** What models would answer: the label and its half. */
  const answered = async (fold: PreparedFeatures['folds'][number]): Promise<ArtifactRef> => {
    const labels = await labelsOf(fold.validation.labels);
    return fixture.npy(Float32Array.from(labels.flatMap((label) => [label, label / 2])), [labels.length, 2]);
  };

  it('are put one after the other, each with its label', { timeout: 120_000 }, async () => {
    const spec = specOf(KFOLD);
    const { tree, crossValidation } = await prepared(spec, await splitOf(spec, tableSql()));
    const folds = await Promise.all(
      tree.folds.map(async (fold) => ({ labels: fold.validation.labels, answers: await answered(fold) })),
    );
    const { labels, answers, width } = await collectOutOfFold(fixture.store, folds);
    expect(width).toBe(2);
    expect(labels).toHaveLength(crossValidation?.table.rows ?? 0);
    expect([...answers]).toEqual([...labels].flatMap((label) => [label, label / 2]));
    const [first, second] = folds;
    if (!first || !second) throw new Error('there are folds');
    await expect(
      collectOutOfFold(fixture.store, [first, { labels: first.labels, answers: second.answers }]),
    ).rejects.toMatchObject({ code: 'InputInvalid', message: expect.stringMatching(/^Fold 2 of 2 has/) });
    await expect(collectOutOfFold(fixture.store, [])).rejects.toMatchObject({ code: 'InputInvalid' });
  });

  it.each([KFOLD, { method: 'time', folds: 2, gap: '5h' }, { method: 'stratified', by: 'plan', folds: 2 }])(
    'lose a person like matrices and labels of all folds: %j',
    { timeout: 120_000 },
    async (how) => {
      const name = `erased-${how.method}`;
      const spec = specOf(how, { name });
      const split = await splitOf(spec, tableSql(`id % ${how.method.length + 60}`));
      const { output, tree, linear, crossValidation } = await prepared(spec, split);
      const recorded = new RecordedRows(fixture.store);
      await recorded.split({ spec }, split);
      await recorded.prepare({ spec, split }, output);
      const answers: ArtifactRef[] = [];
      for (const fold of tree.folds) {
        const ref = await answered(fold);
        await recorded.answers(spec, ref, fold.validation.features);
        answers.push(ref);
      }
      const state = async () => ({
        table: (await fixture.rows(crossValidation?.table.artifact ?? split.train.artifact)).map(({ id }) =>
          Number(id),
        ),
        answers: await Promise.all(
          answers.map(async (ref) => (await fixture.matrix(ref)).map(([first]) => first)),
        ),
        folds: await Promise.all(
          [...tree.folds, ...linear.folds].map(async (fold) => [
            await column(fold, 'train', 'x'),
            await labelsOf(fold.train.labels),
            await column(fold, 'validation', 'x'),
            await labelsOf(fold.validation.labels),
          ]),
        ),
      });
      const people = [7, 130];
      const stays = (id: unknown): boolean => !people.includes(Number(id) % PEOPLE);
      const before = await state();
      expect(before.table.every(stays)).toBe(false);
      for (const person of people) {
        const erased = await fixture.erase(fixture.person(String(person), { pipelines: [name] }));
        expect([erased.unsearched, erased.taken]).toEqual([[], true]);
      }
      expect(await state()).toEqual({
        table: before.table.filter(stays),
        answers: before.answers.map((values) => values.filter(stays)),
        folds: before.folds.map((lists) => lists.map((values) => values.filter(stays))),
      });
      // Answers of a run that goes on after the erasure are found, too.
      const [fold] = tree.folds;
      if (!fold) throw new Error('there are folds');
      const late = await answered(fold);
      await recorded.answers(spec, late, fold.validation.features);
      const [other] = (await labelsOf(fold.validation.labels)).map((id) => id % PEOPLE);
      await fixture.erase(fixture.person(String(other), { pipelines: [name] }));
      expect(await fixture.matrix(late)).toHaveLength((await labelsOf(fold.validation.labels)).length);
    },
  );
});
