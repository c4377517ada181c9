import { z } from 'zod';
import { PerennialError } from '../contracts/errors.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import type { TrainerRequest } from '../contracts/trainer.ts';
import type { TrialInput } from '../contracts/training-activities.ts';
import { classFactors, rowWeights } from '../lib/data/class-weights.ts';
import { readNpy, writeNpy } from '../lib/npy.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';

/** What the trainer is asked for: paths of local files in place of references. */
export async function trainerRequest(
  store: ArtifactStore,
  input: TrialInput,
  scratchDir: string,
  resumedFrom: ArtifactRef | undefined,
): Promise<TrainerRequest> {
  const { candidate, parameters, maxSeconds, problem, training, data } = input;
  const train = await pathsOf(store, data.train);
  const validation = await pathsOf(store, data.validation);
  const weights = await weightFiles(store, input, scratchDir);
  return {
    schemaVersion: 1,
    task: problem.task,
    trainer: candidate.trainer,
    train: { ...train, ...(weights ? { weights: weights.train } : {}) },
    validation: { ...validation, ...(weights ? { weights: weights.validation } : {}) },
    featureNames: z.array(z.string()).parse(await store.json(data.featureNames)),
    classNames: problem.classNames,
    parameters,
    seed: training.seed,
    threads: training.threads,
    maxIterations: candidate.maxIterations,
    ...(maxSeconds === null ? {} : { maxSeconds }),
    ...(resumedFrom ? { resumeFrom: await store.path(resumedFrom) } : {}),
    checkpointDir: `${scratchDir}/checkpoints`,
    outputDir: `${scratchDir}/output`,
  };
}

const pathsOf = async (store: ArtifactStore, { features, labels }: TrialInput['data']['train']) => ({
  features: await store.path(features),
  labels: await store.path(labels),
});

type Part = 'train' | 'validation';

/** How much rows count, by their age and by their classes, where the spec wants either. */
export async function weightFiles(
  store: ArtifactStore,
  { problem, training: { classWeights }, data }: TrialInput,
  scratchDir: string,
): Promise<Record<Part, string> | undefined> {
  if (classWeights === undefined) {
    const [train, validation] = [data.train.weights, data.validation.weights];
    return (
      train && validation && { train: await store.path(train), validation: await store.path(validation) }
    );
  }
  const known = async (part: Part) => {
    const { labels, weights } = data[part];
    return {
      labels: await classLabels(await store.path(labels)),
      ages: weights && (await numbers(await store.path(weights))),
    };
  };
  const parts = { train: await known('train'), validation: await known('validation') };
  const factors = classFactors(classWeights, problem.classNames, parts.train.labels, parts.train.ages);
  const write = async (part: Part): Promise<string> => {
    const path = `${scratchDir}/${part}-weights.npy`;
    const { labels, ages } = parts[part];
    await writeNpy(path, rowWeights(factors, labels, ages), [labels.length]);
    return path;
  };
  return { train: await write('train'), validation: await write('validation') };
}

async function numbers(path: string): Promise<Float32Array> {
  const { data } = await readNpy(path);
  if (data instanceof Float32Array) return data;
  throw new PerennialError('TrainerContract', 'Weights of rows are 32-bit floats.');
}

async function classLabels(path: string): Promise<Int32Array> {
  const { data } = await readNpy(path);
  if (data instanceof Int32Array) return data;
  throw new PerennialError('TrainerContract', 'Class weights need labels that are class indices.');
}
