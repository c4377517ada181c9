import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { bundleModule } from '../../client/bundle-module.ts';
import type { CachePolicy } from '../../contracts/cache.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { AS_OF, runDataPart } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const USE: CachePolicy = { mode: 'use', ttl: '1d' };
const KEY = 'PERENNIAL_SECRET_STEP_CACHE_KEY';

let platform: TestPlatform;
let path: string;
beforeAll(async () => {
  platform = await TestPlatform.start({ modules: ['any'] });
  path = join(platform.folder, 'people.csv');
  await people(400);
}, 120_000);
afterAll(async () => platform?.close(), 60_000);
afterEach(() => {
  delete process.env[KEY];
});

const people = (rows: number): Promise<void> =>
  writeFile(
    path,
    `id,age,at,y\n${Array.from({ length: rows }, (_, i) => `p${i},${20 + (i % 50)},2026-01-01,${i % 2}`).join('\n')}\n`,
  );

const specOf = (more: object = {}): PipelineSpec =>
  pipelineSpec.parse({
    name: 'people',
    task: 'binary',
    data: { sources: { people: path } },
    columns: { target: 'y', entity: 'id', ignored: ['at'] },
    candidates: ['logistic'],
    ...more,
  });

const prepared = (spec: PipelineSpec, asOf?: string) => runDataPart(platform, spec, USE, asOf);
const hits = (stages: Awaited<ReturnType<typeof prepared>>) =>
  Object.values(stages).map(({ cache }) => cache?.hit);

describe('the stages of the data part', () => {
  it('are not run again where nothing changed, and are where their input did', async () => {
    const first = await prepared(specOf());
    expect(hits(first)).toEqual([false, false, false, false, false]);
    const second = await prepared(specOf());
    expect(hits(second)).toEqual([true, true, true, true, true]);
    expect(second.prepared.variants).toEqual(first.prepared.variants);
    const other = await prepared(specOf({ split: { method: 'random', validation: 0.3, test: 0.3 } }));
    expect(hits(other)).toEqual([true, true, true, false, false]);
    const folded = await prepared(specOf({ training: { crossValidation: { method: 'kfold', folds: 2 } } }));
    expect(hits(folded)).toEqual([true, true, true, true, false]);
    expect(folded.prepared.variants.linear).toMatchObject({
      ...first.prepared.variants.linear,
      folds: [{}, {}],
    });
    const columns = { target: 'y', entity: 'id', timestamp: 'at' };
    expect(hits(await prepared(specOf({ columns })))).toEqual([true, false, true, false, false]);
    const aged = (halfLife: string) => prepared(specOf({ columns, training: { ageWeights: { halfLife } } }));
    expect(hits(await aged('30d'))).toEqual([true, true, true, true, false]);
    expect(hits(await aged('60d'))).toEqual([true, true, true, true, false]);
    await people(410);
    const grown = await prepared(specOf());
    expect(hits(grown)).toEqual([false, false, false, false, false]);
    expect(grown.ingest.table.rows).toBe(410);
  });

  it('the condition of a slice is tried though the split is there already', async () => {
    const slices = (where: string) => specOf({ evaluation: { slices: [{ name: 'old', where }] } });
    expect((await prepared(slices('age > 40'))).split.cache?.hit).toBe(true);
    await expect(prepared(slices('agee > 40'))).rejects.toMatchObject({
      type: 'SqlInvalid',
      message: expect.stringContaining('evaluation.slices[0].where'),
    });
  });

  it('a hit whose artifact has gone is a miss', async () => {
    const before = await prepared(specOf());
    const store = await platform.deps.store();
    await store.remove(before.split.train.artifact.sha256, { untouchedSince: Date.now() + 1_000 });
    const after = await prepared(specOf());
    expect(hits(after)).toEqual([true, true, true, false, true]);
    expect(after.split.train).toEqual(before.split.train);
  });

  it('another pseudonym key behind the same name makes other pseudonyms', async () => {
    const spec = specOf({
      privacy: { subject: 'id', columns: { id: 'pseudonym' }, pseudonymKey: `\${env:${KEY}}` },
    });
    process.env[KEY] = 'a'.repeat(32);
    const first = await prepared(spec);
    expect((await prepared(spec)).protect).toMatchObject({
      cache: { hit: true },
      table: first.protect.table,
    });
    process.env[KEY] = 'b'.repeat(32);
    const second = await prepared(spec);
    expect(second.protect.cache?.hit).toBe(false);
    expect(second.protect.table.artifact.sha256).not.toBe(first.protect.table.artifact.sha256);
  });

  it('a custom check is run again where its module changed, or what that imports', async () => {
    const folder = platform.folder;
    const write = (name: string, source: string) => writeFile(join(folder, name), source);
    const limit = (rows: number) => write('limit.ts', `export const limit = ${rows};\n`);
    await write(
      'check.ts',
      "import { limit } from './limit.ts';\nexport default (frame: { shape: number[] }) => ({ passed: frame.shape[0]! <= limit });\n",
    );
    const judged = async () => {
      const module = await bundleModule(join(folder, 'check.ts'), 'expectations[0].module');
      const spec = specOf({ expectations: [{ expect: 'custom', module, severity: 'warn' }] });
      const ingest = await platform.run('ingest', { spec, cache: USE });
      const validate = await platform.run('validate', {
        ...{ spec, ingest, asOf: AS_OF, champion: null, cache: USE },
      });
      return [validate.cache?.hit, validate.results[0]?.passed];
    };
    await limit(1_000);
    expect(await judged()).toEqual([false, true]);
    expect(await judged()).toEqual([true, true]);
    await limit(10);
    expect(await judged()).toEqual([false, false]);
  });

  it('rules that hang on the moment are judged at each run', async () => {
    const spec = specOf({
      expectations: [{ expect: 'freshness', column: 'at', maxAge: '30d', severity: 'warn' }],
    });
    const fresh = await prepared(spec, '2026-01-02T00:00:00.000Z');
    expect(fresh.validate.results.map(({ passed }) => passed)).toEqual([true]);
    const stale = await prepared(spec, '2026-06-01T00:00:00.000Z');
    expect(stale.validate).toMatchObject({ cache: { hit: false }, results: [{ passed: false }] });
  });
});
