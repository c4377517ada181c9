import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadSpec } from '../../client/spec-file.ts';
import { artifactRefs } from '../../contracts/artifact-digests.ts';
import { attribution } from '../../contracts/explanation.ts';
import { sampleSet } from '../../contracts/samples.ts';
import { isTextInput } from '../../contracts/serving.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { StepCache } from '../../lib/cache/step-cache.ts';
import { type FinishedRun, NO_CACHE, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { storeOnAMachine, TestBucket } from '../support/stores.ts';

const BANK = fileURLToPath(new URL('../../examples/bank/pipeline.yaml', import.meta.url));
const CODE = { commit: '0123456789abcdef0123456789abcdef01234567', dirty: false };

let s3: TestBucket;
let machine: Awaited<ReturnType<typeof storeOnAMachine>>;
let platform: TestPlatform;
let spec: PipelineSpec;
let run: FinishedRun;

/** A whole run whose artifacts lie in a bucket, every one of them encrypted. */
beforeAll(async () => {
  s3 = await TestBucket.start();
  machine = await storeOnAMachine();
  await machine.store.putJson('makes the keyring', { encrypt: true });
  const storing = {
    artifactStore: s3.location('team/bank'),
    keyring: join(machine.dataDir, 'keyring.json'),
    encryptAll: true,
  };
  platform = await TestPlatform.start(storing);
  await platform.takeLease();
  const { input } = await loadSpec(BANK);
  const { sql } = pipelineSpec.parse(input).data;
  spec = pipelineSpec.parse({
    ...input,
    data: { ...Object(input.data), sql: `SELECT * FROM (${sql}) WHERE call % 5 = 0` },
    candidates: [{ trainer: 'lightgbm', maxIterations: 20 }],
    expectations: [{ expect: 'not_null', column: 'age' }],
  });
  run = await runLifecycle(platform, spec, CODE);
}, 900_000);
afterAll(async () => {
  await platform?.close();
  await machine?.close();
  await s3?.close();
}, 60_000);

const filesBelow = async (folder: string): Promise<string[]> =>
  (await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe('a lifecycle on S3 with everything encrypted', () => {
  it('ends with a champion that answers', async () => {
    const model = await fetch(`${platform.server.url}/v2/models/${spec.deployment.endpoint}`);
    expect(model.status).toBe(200);
    const { model: champion } = await platform.run('currentChampion', {
      modelName: spec.deployment.endpoint,
    });
    expect(champion?.onnx.sha256).toBe(run.model.onnx.sha256);
  });

  it('explains what its champion answers, from encrypted rows, and knows how from the registry alone', async () => {
    const { endpoint } = spec.deployment;
    const { model: champion } = await platform.run('currentChampion', { modelName: endpoint });
    // What is adopted where the endpoint's state is lost is what was deployed.
    expect(champion).toEqual(run.model);
    const store = await platform.deps.store();
    const { rows } = sampleSet.parse(await store.json(run.evaluate.samples));
    const body = JSON.stringify({
      inputs: run.model.signature.inputs.map(({ name, kind }) => ({
        name,
        shape: [3],
        datatype: isTextInput(kind) ? 'BYTES' : kind === 'datetime' ? 'FP64' : 'FP32',
        data: rows.slice(0, 3).map((row) => row[name] ?? null),
      })),
    });
    const ask = async (verb: string): Promise<unknown> => {
      const headers = { 'content-type': 'application/json' };
      const url = `${platform.server.url}/v2/models/${endpoint}/${verb}`;
      return (await fetch(url, { method: 'POST', headers, body })).json();
    };
    const explained = z
      .object({
        explanations: z.array(
          z.object({ method: z.string(), unit: z.string(), attributions: z.array(attribution) }),
        ),
      })
      .parse(await ask('explain'));
    const inferred = z
      .object({ outputs: z.array(z.object({ name: z.string(), data: z.array(z.unknown()) })) })
      .parse(await ask('infer'));
    const answers = inferred.outputs.find(({ name }) => name === 'probability')?.data ?? [];
    expect(explained.explanations).toHaveLength(3);
    for (const [row, { method, unit, attributions }] of explained.explanations.entries()) {
      expect([method, unit]).toEqual(['tree', 'log_odds']);
      for (const { output, base, contributions } of attributions) {
        const sum = contributions.reduce((total, { value }) => total + value, base);
        expect(output).toBe('probability');
        expect(1 / (1 + Math.exp(-sum))).toBeCloseTo(Number(answers[row]), 6);
        expect(contributions.map(({ column }) => column)).toEqual(
          run.model.signature.inputs.map(({ name }) => name),
        );
      }
    }
  });

  it('left nothing in the clear: in the bucket, the local copies, the data directory', async () => {
    const bucket = await filesBelow(join(s3.server.folder, s3.bucket, 'team/bank/sha256'));
    const copies = await filesBelow(join(platform.config.dataDir, 'cache', 'artifacts'));
    expect(bucket.length).toBeGreaterThan(10);
    expect(copies.length).toBeGreaterThan(10);
    for (const path of [...bucket, ...copies])
      expect((await readFile(path)).subarray(0, 7).toString(), path).toBe('PRNSEAL');
    expect(await filesBelow(join(platform.config.dataDir, 'scratch'))).toEqual([]);
    expect(await filesBelow(join(platform.config.dataDir, 'artifacts'))).toEqual([]);
  });

  it('is there for a machine that has the keys, and for no other', async () => {
    const { artifactStore, keyring, encryptAll } = platform.config;
    const settings = { ...(artifactStore ? { artifactStore } : {}), encryptAll: encryptAll === true };
    const friend = await storeOnAMachine({ ...settings, ...(keyring ? { keyring } : {}) });
    const stranger = await storeOnAMachine(settings);
    const ref = run.ingest.table.artifact;
    expect((await friend.store.bytes(ref)).subarray(0, 4).toString()).toBe('PAR1');
    await expect(stranger.store.bytes(ref)).rejects.toMatchObject({ code: 'KeyringInvalid' });
    await friend.close();
    await stranger.close();
  });

  it('outlives its local copies', async () => {
    await rm(join(platform.config.dataDir, 'cache', 'artifacts', 'sha256'), { recursive: true });
    const split = await platform.run('split', { spec, protect: run.protect, cache: NO_CACHE });
    expect(split).toEqual(run.split);
  });

  it('keeps its artifacts from the garbage collector', async () => {
    const store = await platform.deps.store();
    const result = await platform.run('collectGarbage', {
      keepFailedRuns: '1ms',
      keepUnnamed: '7d',
      keepCache: '30d',
    });
    expect(result).toMatchObject({ deletedArtifacts: 0, forgottenRuns: 0 });
    for (const ref of artifactRefs(run)) expect(await store.has(ref), ref.uri).toBe(true);
  });

  it('keeps what a cached result names and what is served, and nothing else that no run names', async () => {
    const store = await platform.deps.store();
    const [cached, unnamed] = [await store.putJson('cached'), await store.putJson('unnamed')];
    const slot = { stage: 'split', key: 'c'.repeat(64) };
    await new StepCache(store).remember(slot, spec.name, { table: cached }, Date.now());
    await sleep(2_100); // S3 tells times to the second
    const result = await platform.run('collectGarbage', {
      keepFailedRuns: '1ms',
      keepUnnamed: '1ms',
      keepCache: '1h',
    });
    expect(result.deletedArtifacts).toBeGreaterThan(5);
    expect(result.forgottenResults).toBe(0);
    expect(await store.has(unnamed)).toBe(false);
    expect(await store.json(cached)).toBe('cached');
    expect(await store.has(run.model.onnx)).toBe(true);
  });
});
