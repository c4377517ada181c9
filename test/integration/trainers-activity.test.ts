import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import { CancelledFailure, defaultPayloadConverter } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readableByOthers, remoteModel } from '../../activities/remote-training.ts';
import { type ArtifactRef, artifactRef, MEDIA_TYPES } from '../../contracts/refs.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { RemoteTrainerRequest } from '../../contracts/trainer.ts';
import { type RemoteTraining, remoteRequest } from '../../domain/remote-training.ts';
import { writeNpy } from '../../lib/npy.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ActivityBench, WorkerProcess } from '../support/activity-bench.ts';
import { eventually } from '../support/workflow-bench.ts';
import { predict, python, requestFor, sample, TASKS } from './trainers-support.ts';

const WORKER = fileURLToPath(new URL('../../examples/trainers/python-worker/worker.py', import.meta.url));
const QUEUE = 'python-trainers';
const ACTIVITY = { type: 'train_fourier', taskQueue: QUEUE };
const ENDLESS = 1_000_000;

let folder = '';
let bench: ActivityBench;
let store: ArtifactStore;
let worker: WorkerProcess;

const startWorker = (): Promise<WorkerProcess> =>
  WorkerProcess.start(python, ['-W', 'ignore', WORKER], {
    TEMPORAL_ADDRESS: bench.address,
    PERENNIAL_ARTIFACT_STORE: `file:${store.root}`,
    PERENNIAL_CHECKPOINT_SECONDS: '0.2',
    TASK_QUEUE: QUEUE,
    OMP_NUM_THREADS: '1',
    PYTHONDONTWRITEBYTECODE: '1',
  });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-remote-'));
  store = await ArtifactStore.create(join(folder, 'artifacts'));
  bench = await ActivityBench.start();
  worker = await startWorker();
});
afterAll(async () => {
  await worker.stop('SIGKILL');
  await bench.close();
  await rm(folder, { recursive: true, force: true });
});

const fourier = (maxIterations: number) => ({ name: 'fourier', maxIterations });

/** A request over sample data that lie in the store. */
async function requestOf(
  task: Task,
  changes: Partial<RemoteTraining> = {},
  options: { encrypt?: boolean } = {},
): Promise<RemoteTrainerRequest> {
  const local = await requestFor('activity', task, folder);
  const stored = (path: string) => store.putFile(path, MEDIA_TYPES.npy, options);
  const part = async (name: 'train' | 'validation', rows: number) => ({
    features: await stored(local[name]?.features ?? ''),
    labels: await stored(local[name]?.labels ?? ''),
    rows,
  });
  return remoteRequest({
    candidate: fourier(20),
    task,
    split: local,
    training: { seed: 3, threads: 1 },
    prepared: {
      train: await part('train', 800),
      validation: await part('validation', 300),
      featureNames: await store.putJson(local.featureNames),
    },
    parameters: { batch_size: 64 },
    ...changes,
  });
}

/** What the running attempt's last heartbeat said. */
async function told(
  handle: WorkflowHandle,
): Promise<{ epoch: number; checkpoint: ArtifactRef | null } | undefined> {
  const { raw } = await handle.describe();
  const [payload] = raw.pendingActivities?.[0]?.heartbeatDetails?.payloads ?? [];
  return payload
    ? z
        .object({ epoch: z.number(), checkpoint: artifactRef.nullable() })
        .parse(defaultPayloadConverter.fromPayload(payload))
    : undefined;
}

describe('a trainer that is an activity of a worker in Python', () => {
  it.each(TASKS)('learns from references, and answers with one: %s', async (task) => {
    const request = await requestOf(task);
    expect(await readableByOthers(store, request)).toEqual(request);
    const answer = await bench.run({ ...ACTIVITY, input: request });
    const { result, onnx } = await remoteModel(store, answer, 'fourier');
    expect(result).toMatchObject({
      iterations: 20,
      bestIteration: 20,
      parameters: { batch_size: 64, components: 256 },
      libraries: { numpy: expect.any(String) },
    });

    const path = join(folder, `${task}.onnx`);
    await writeFile(path, onnx);
    const data = sample(task, 1_000, 3);
    const { name, dims, values } = await predict(path, data);
    const outputs = { binary: 2, multiclass: 3, regression: 1 }[task];
    expect(name).toBe(task === 'regression' ? 'prediction' : 'probabilities');
    expect(dims).toEqual([1_000, outputs]);
    const errors = Array.from(data.labels, (label, row) => {
      if (task === 'regression') return (values[row] ?? Number.NaN) - label;
      const own = values.subarray(row * outputs, (row + 1) * outputs);
      return Number(own.indexOf(Math.max(...own)) !== label);
    });
    const mean = (numbers: number[]) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
    // Guessing is wrong in half and two thirds of the rows; the target's deviation is above 20.
    const bound = { binary: 0.15, multiclass: 0.25, regression: 100 }[task];
    expect(mean(errors.map((error) => error ** 2))).toBeLessThan(bound);

    // The same request gives the same bytes, hence the same reference.
    expect(await bench.run({ ...ACTIVITY, input: request })).toEqual(answer);
  });

  it('counts rows by their weight', async () => {
    const path = join(folder, 'weights.npy');
    const { labels } = sample('binary', 800, 1);
    await writeNpy(
      path,
      Float32Array.from(labels, (label) => (label === 1 ? 1 : 0)),
      [800],
    );
    const train = await store.putFile(path, MEDIA_TYPES.npy);
    const { onnx } = await remoteModel(
      store,
      await bench.run({ ...ACTIVITY, input: await requestOf('binary', { weights: { train } }) }),
      'fourier',
    );
    const model = join(folder, 'weighted.onnx');
    await writeFile(model, onnx);
    // Only rows of the second class counted.
    const { values } = await predict(model, sample('binary', 100, 3));
    values.forEach((value, at) => {
      if (at % 2 === 1) expect(value).toBeGreaterThan(0.5);
    });
  });

  it('stops within its time', async () => {
    const request = await requestOf('binary', { candidate: fourier(ENDLESS), maxSeconds: 0.5 });
    const { result } = await remoteModel(store, await bench.run({ ...ACTIVITY, input: request }), 'fourier');
    expect(result.iterations).toBeLessThan(ENDLESS);
  });

  it.each([
    [
      { parameters: { gama: 1 } },
      /^The parameter "gama" is unknown\. Allowed: batch_size, components, gamma/,
    ],
    [{ parameters: { components: 0 } }, /^The parameter "components" must be a whole number above 0\.$/],
    [{ split: { classNames: ['one'] } }, /^The training labels must be class indices from 0 to 0\.$/],
  ])('says in its own words what is wrong: %j', async (changes, words) => {
    const request = await requestOf('binary', changes);
    // With several attempts: what is wrong with a request is not tried again.
    await expect(bench.run({ ...ACTIVITY, input: request, attempts: 3 })).rejects.toMatchObject({
      type: 'TrainerFailed',
      nonRetryable: true,
      message: expect.stringMatching(words),
    });
  });

  it('ends when it is cancelled, and its worker takes the next one', async () => {
    const handle = await bench.start({
      ...ACTIVITY,
      input: await requestOf('binary', { candidate: fourier(ENDLESS) }),
    });
    await eventually(() => told(handle), 'a heartbeat');
    await handle.cancel();
    // The workflow waits until the activity itself has ended.
    await expect(handle.result()).rejects.toMatchObject({ cause: expect.any(CancelledFailure) });
    const next = await bench.run({ ...ACTIVITY, input: await requestOf('regression') });
    expect(next).toMatchObject({ iterations: 20 });
  });

  // So many that a worker's end comes long before theirs, however late it is.
  const EPOCHS = 1_000;
  let undisturbed: Promise<unknown> | undefined;
  it.each([
    ['SIGKILL', 'SIGKILL'],
    ['SIGTERM', 0],
  ] as const)(
    'goes on from its last checkpoint after %s, and gives the very model of an undisturbed training',
    async (signal, end) => {
      const request = await requestOf('multiclass', { candidate: fourier(EPOCHS) });
      const handle = await bench.start({
        ...ACTIVITY,
        input: request,
        attempts: 100,
        heartbeatTimeout: '4s',
      });
      const before = await eventually(async () => {
        const details = await told(handle);
        return details?.checkpoint ? details : undefined;
      }, 'a checkpoint');
      const ended = await worker.stop(signal);
      // Others need it, whatever is found here.
      worker = await startWorker();
      expect(ended).toBe(end);
      expect(before.epoch).toBeLessThan(EPOCHS);
      const answer = await handle.result();
      expect(worker.words).toMatch(/goes on after epoch [1-9]/);
      undisturbed ??= bench.run({ ...ACTIVITY, input: request });
      expect(answer).toEqual(await undisturbed);
    },
  );
});

describe('what a worker of another language cannot read', () => {
  it('is what is not there', async () => {
    const request = await requestOf('regression');
    const sha256 = '0'.repeat(64);
    const gone = { ...request, featureNames: { ...request.featureNames, sha256, uri: `cas:${sha256}` } };
    await expect(readableByOthers(store, gone)).rejects.toMatchObject({ code: 'ArtifactMissing' });
    await expect(bench.run({ ...ACTIVITY, input: gone })).rejects.toThrow(
      /is not in .*Is it the same store\?$/,
    );
  });

  it('is what was erased, unless something took its place', async () => {
    const request = await requestOf('regression');
    const old = await store.putJson(['a', 'b']);
    const current = await store.putJson(['b']);
    await store.replace(old.sha256, current, { certificate: 'c-1' });
    const { featureNames } = await readableByOthers(store, { ...request, featureNames: old });
    expect(featureNames).toEqual(current);
    await expect(bench.run({ ...ACTIVITY, input: { ...request, featureNames: old } })).rejects.toThrow(
      /not in/,
    );
  });

  it('is encrypted: that is told before it is asked, with what to do', async () => {
    // The last of the tests: the same bytes in the clear, from the tests above, are gone now.
    const request = await requestOf('binary', {}, { encrypt: true });
    await expect(readableByOthers(store, request)).rejects.toMatchObject({
      code: 'InputInvalid',
      message: expect.stringMatching(
        /"fourier" is trained by an activity, but the features of the training rows are encrypted at rest.*Use trainer command/,
      ),
    });
    await expect(bench.run({ ...ACTIVITY, input: request })).rejects.toThrow(
      /^The artifact cas:[0-9a-f]{64} is encrypted; only Perennial's own workers read it\.$/,
    );
  });
});

describe('an answer that is none', () => {
  const answer = async () => ({
    schemaVersion: 1,
    model: await store.putBytes('a model', MEDIA_TYPES.onnx),
    iterations: 1,
    bestIteration: 1,
    parameters: {},
    libraries: {},
  });

  it('names what is missing', async () => {
    const { model: _model, ...rest } = await answer();
    await expect(remoteModel(store, rest, 'mine')).rejects.toMatchObject({
      code: 'TrainerContract',
      message: expect.stringMatching(/The activity of candidate "mine" gave an answer .*model: is missing/),
    });
    await expect(remoteModel(store, null, 'mine')).rejects.toThrow(/no result of a training/);
  });

  it('is a model that is not in the store, or of another size', async () => {
    const { model, ...rest } = await answer();
    const sha256 = 'f'.repeat(64);
    for (const wrong of [
      { ...model, sha256, uri: `cas:${sha256}` },
      { ...model, bytes: 3 },
    ])
      await expect(remoteModel(store, { ...rest, model: wrong }, 'mine')).rejects.toThrow(
        /is not in the artifact store .*Does its worker write to the same store/,
      );
    await expect(
      remoteModel(store, { ...rest, model: { ...model, bytes: 2 ** 40 } }, 'mine'),
    ).rejects.toThrow(/ONNX holds at most/);
    expect((await remoteModel(store, { ...rest, model }, 'mine')).onnx.toString()).toBe('a model');
  });
});
