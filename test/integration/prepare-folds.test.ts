import { mkdir, readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepare } from '../../activities/prepare.ts';
import { RecordedRows } from '../../activities/recorded-rows.ts';
import { artifactRefs } from '../../contracts/artifact-digests.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { type PipelineSpec, type PipelineSpecInput, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import {
  type PreparedFeatures,
  type PreparedFold,
  prepareOutput,
  type SplitOutput,
} from '../../contracts/stages.ts';
import { rangesSql } from '../../lib/data/folds.ts';
import { collectOutOfFold } from '../../lib/data/out-of-fold.ts';
import { splitTable } from '../../lib/data/split.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { pseudonymOf } from '../../lib/privacy/pseudonym.ts';
import { testFrame } from '../support/activity-frame.ts';
import { ErasureFixture, PSEUDONYM_KEY } from '../support/erasure-fixture.ts';

let fixture: ErasureFixture;
let split: SplitOutput;
/** Both variants, two folds by hash. */
let base: Awaited<ReturnType<typeof prepared>>;
beforeAll(async () => {
  process.env.PERENNIAL_SECRET_PSEUDONYM_KEY = PSEUDONYM_KEY;
  fixture = await ErasureFixture.create();
  split = await splitOf(specOf(KFOLD), tableSql());
  base = await prepared(specOf(KFOLD, { candidates: ['lightgbm', 'linear'] }), split);
}, 240_000);
afterAll(async () => {
  delete process.env.PERENNIAL_SECRET_PSEUDONYM_KEY;
  await fixture.close();
});

const ROWS = 500;
const PEOPLE = 100;

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
    candidates: ['linear'],
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
  const deps = { store: async () => fixture.store } as Parameters<typeof prepare>[0];
  const output = prepareOutput.parse(
    await prepare(deps, { spec, split, cache: { mode: 'off' } }, testFrame(scratch)),
  );
  const { linear } = output.variants;
  if (!linear) throw new Error('features are prepared');
  return {
    output,
    linear,
    variants: Object.values(output.variants),
    crossValidation: output.crossValidation,
    left: await readdir(scratch),
  };
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
const KFOLD = { method: 'kfold', folds: 2 };

describe('features of folds', () => {
  it('are of the rows of the fold, in their order, in each variant', async () => {
    const { variants, crossValidation, left } = base;
    if (!crossValidation) throw new Error('there are folds');
    expect(crossValidation.table.rows).toBe(split.train.rows + split.validation.rows);
    expect(crossValidation.notes).toEqual([]);
    const table = await fixture.path(crossValidation.table.artifact);
    const judged: number[] = [];
    expect(variants).toHaveLength(2);
    for (const { folds } of variants) {
      expect(folds).toHaveLength(2);
      for (const [index, fold] of folds.entries())
        for (const part of ['train', 'validation'] as const) {
          const ranges = [crossValidation.folds[index]?.[part] ?? []].flat();
          const rows = await fixture.database.rows(`SELECT id FROM (${rangesSql(table, ranges)})`);
          const ids = rows.map(({ id }) => Number(id));
          expect(await column(fold, part, 'x')).toEqual(ids);
          expect(await labelsOf(fold[part].labels)).toEqual(ids);
          expect(fold[part].rows).toBe(ids.length);
          if (part === 'validation') judged.push(...ids);
        }
    }
    const { train, validation } = base.linear;
    const ofParts = [...(await labelsOf(train.labels)), ...(await labelsOf(validation.labels))];
    const ascending = (ids: number[]) => [...ids].sort((one, other) => one - other);
    expect(ascending(judged)).toEqual(ascending([...ofParts, ...ofParts]));
    expect(left.filter((name) => /fold-|npy/.test(name))).toEqual([]);
  });

  it('encode training rows without their own target, and judged rows alike', async () => {
    for (const fold of base.linear.folds)
      for (const part of ['train', 'validation'] as const) {
        const towns = new Map<number, Set<number>>();
        const [ids, values] = [await labelsOf(fold[part].labels), await column(fold, part, 'town (target)')];
        for (const [row, id] of ids.entries())
          towns.set(id % 7, (towns.get(id % 7) ?? new Set()).add(values[row] ?? 0));
        expect(towns.size).toBe(7);
        for (const found of towns.values()) expect(found.size).toBe(part === 'train' ? 5 : 1);
      }
  });

  it('are not moved by rows that the fold is judged on', { timeout: 240_000 }, async () => {
    const judged = await labelsOf(base.linear.folds[0]?.validation.labels ?? split.test.artifact);
    const spec = specOf(KFOLD);
    const changed = await splitOf(
      spec,
      tableSql(`CASE WHEN id IN (${judged.join(', ')}) THEN 1e6 ELSE id % 89 END`),
    );
    const after = await prepared(spec, changed);
    const graphs = ({ linear }: typeof base) => linear.folds.map(({ preprocess }) => preprocess.sha256);
    expect(graphs(after)[0]).toBe(graphs(base)[0]);
    expect(graphs(after)[1]).not.toBe(graphs(base)[1]);
    expect(after.linear.preprocess).not.toEqual(base.linear.preprocess);
    expect(after.linear.folds[0]?.train).toEqual(base.linear.folds[0]?.train);
  });

  it('come beside the same plain ones, and only where they are asked for', { timeout: 240_000 }, async () => {
    const plain = await prepared(specOf(), split);
    expect(plain.output).not.toHaveProperty('crossValidation');
    expect(plain.linear).toEqual({ ...base.linear, folds: [] });
  });

  it('have weights by age of their own, where they are asked for', { timeout: 240_000 }, async () => {
    const aged = { crossValidation: { method: 'kfold', folds: 2 }, ageWeights: { halfLife: '50h' } } as const;
    const { linear, left } = await prepared(specOf(undefined, { training: aged }), split);
    for (const data of [linear, ...linear.folds])
      for (const part of ['train', 'validation'] as const) {
        const ids = await labelsOf(data[part].labels);
        const latest = Math.max(...ids);
        const weights = await labelsOf(data[part].weights ?? split.test.artifact);
        expect(weights).toEqual(ids.map((id) => Math.fround(2 ** ((id - latest) / 50))));
      }
    expect(left.filter((name) => /npy/.test(name))).toEqual([]);
    const { weights: _, ...train } = linear.train;
    expect(train).toEqual(base.linear.train);
  });

  it('are not made where a row has no age', { timeout: 240_000 }, async () => {
    const spec = specOf(undefined, { training: { ageWeights: { halfLife: '50h' } } });
    const gaps = tableSql().replace('to_hours(id) AS at', 'to_hours(nullif(id, 1)) AS at');
    await expect(prepared(spec, await splitOf(spec, gaps))).rejects.toMatchObject({
      code: 'ColumnInvalid',
      message: expect.stringMatching(
        /^training\.ageWeights: 1 of \d+ rows have no usable columns\.timestamp at/,
      ),
    });
  });

  it('are encrypted where the parts are', { timeout: 240_000 }, async () => {
    const spec = specOf(KFOLD);
    const { output } = await prepared(spec, await splitOf(spec, tableSql('id % 83'), true));
    const refs = artifactRefs(output);
    expect(refs.length).toBeGreaterThan(12);
    const open: string[] = [];
    for (const ref of refs) if (!(await fixture.store.isEncrypted(ref))) open.push(ref.mediaType);
    expect(open).toEqual([]);
  });

  it('that cannot be fitted say in which fold', { timeout: 240_000 }, async () => {
    const columns = { target: 'y', timestamp: 'at', features: ['spread'] };
    const spec = specOf({ method: 'time', folds: 3 }, { columns, features: {} });
    const early = await splitOf(spec, tableSql('CASE WHEN id < 200 THEN 5 ELSE id END'));
    await expect(prepared(spec, early)).rejects.toMatchObject({
      code: 'FeatureInvalid',
      message: expect.stringMatching(
        /^training\.crossValidation, fold 1 of 3: None of the feature columns \(spread\)/,
      ),
    });
  });
});

/** What models would answer to the rows that a fold is judged on: the label and its half. */
async function answered(fold: PreparedFold): Promise<ArtifactRef> {
  const labels = await labelsOf(fold.validation.labels);
  return fixture.npy(Float32Array.from(labels.flatMap((label) => [label, label / 2])), [labels.length, 2]);
}

describe('answers out of fold', () => {
  it('are put one after the other, each with its label', async () => {
    const folds = await Promise.all(
      base.linear.folds.map(async (fold) => ({
        labels: fold.validation.labels,
        answers: await answered(fold),
      })),
    );
    const { labels, answers, width } = await collectOutOfFold(fixture.store, folds);
    expect(width).toBe(2);
    expect(labels).toHaveLength(base.crossValidation?.table.rows ?? 0);
    expect([...answers]).toEqual([...labels].flatMap((label) => [label, label / 2]));
    const [first, second] = folds;
    if (!first || !second) throw new Error('there are folds');
    await expect(
      collectOutOfFold(fixture.store, [first, { labels: first.labels, answers: second.answers }]),
    ).rejects.toMatchObject({ code: 'InputInvalid', message: expect.stringMatching(/^Fold 2 of 2 has/) });
    await expect(collectOutOfFold(fixture.store, [])).rejects.toMatchObject({ code: 'InputInvalid' });
  });
});

describe('an erasure', () => {
  it.each([KFOLD, { method: 'time', folds: 2, gap: '5h' }])(
    'takes a person out of matrices, labels and answers of all folds: %j',
    { timeout: 240_000 },
    async (how) => {
      const name = `erased-${how.method}`;
      const training = {
        crossValidation: how,
        ageWeights: { halfLife: '500h' },
      } as PipelineSpecInput['training'];
      const spec = specOf(undefined, { name, training });
      const own = await splitOf(spec, tableSql(`id % ${how.method.length + 60}`));
      const { output, linear, crossValidation } = await prepared(spec, own);
      const { folds } = linear;
      const recorded = new RecordedRows(fixture.store);
      await recorded.split({ spec }, own);
      await recorded.prepare({ spec, split: own }, output);
      const answers: ArtifactRef[] = [];
      for (const fold of folds) {
        const ref = await answered(fold);
        await recorded.answers(spec, ref, fold.validation.features);
        answers.push(ref);
      }
      const latestOf = new Map<string, number>();
      for (const { train, validation } of folds)
        for (const { labels } of [train, validation])
          latestOf.set(labels.sha256, Math.max(...(await labelsOf(labels))));
      // The row that a weight is of, told by its age.
      const agedIds = async ({ labels, weights }: PreparedFold['train']): Promise<number[]> =>
        (await labelsOf(weights ?? labels)).map((weight) =>
          Math.round((latestOf.get(labels.sha256) ?? 0) + 500 * Math.log2(weight)),
        );
      const lists = async (): Promise<number[][]> => {
        const table = await fixture.rows(crossValidation?.table.artifact ?? own.test.artifact);
        const found = [table.map(({ id }) => Number(id))];
        for (const ref of answers) found.push((await fixture.matrix(ref)).map(([first]) => first ?? -1));
        for (const fold of folds)
          for (const part of ['train', 'validation'] as const)
            found.push(
              await column(fold, part, 'x'),
              await labelsOf(fold[part].labels),
              await agedIds(fold[part]),
            );
        return found;
      };
      const erase = async (person: number): Promise<void> => {
        const erased = await fixture.erase(fixture.person(String(person), { pipelines: [name] }));
        expect([erased.unsearched, erased.taken]).toEqual([[], true]);
      };
      const before = await lists();
      const people = [...new Set(before[0]?.map((id) => id % PEOPLE))].slice(0, 2);
      expect(people).toHaveLength(2);
      for (const person of people) await erase(person);
      expect(await lists()).toEqual(before.map((ids) => ids.filter((id) => !people.includes(id % PEOPLE))));

      // Answers of a run that goes on after the erasure are found, too.
      const [fold] = folds;
      if (!fold) throw new Error('there are folds');
      const late = await fixture.npy(
        Float32Array.from(await labelsOf(fold.validation.labels), (id) => id + 0.5),
        [(await labelsOf(fold.validation.labels)).length],
      );
      await recorded.answers(spec, late, fold.validation.features);
      const [next = -1] = await labelsOf(fold.validation.labels);
      await erase(next % PEOPLE);
      const left = await labelsOf(fold.validation.labels);
      expect(left).not.toContain(next);
      expect((await fixture.matrix(late)).flat()).toEqual(left.map((id) => id + 0.5));
    },
  );
});
