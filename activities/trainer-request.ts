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
  const weights = await weightFiles(input, train.labels, validation.labels, scratchDir);
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

/** Weights of the rows by their classes, where the spec wants any. */
export async function weightFiles(
  { problem, training: { classWeights } }: TrialInput,
  trainLabels: string,
  validationLabels: string,
  scratchDir: string,
): Promise<Record<'train' | 'validation', string> | undefined> {
  if (classWeights === undefined) return undefined;
  const labels = { train: await classLabels(trainLabels), validation: await classLabels(validationLabels) };
  const factors = classFactors(classWeights, problem.classNames, labels.train);
  const write = async (part: 'train' | 'validation'): Promise<string> => {
    const path = `${scratchDir}/${part}-weights.npy`;
    await writeNpy(path, rowWeights(factors, labels[part]), [labels[part].length]);
    return path;
  };
  return { train: await write('train'), validation: await write('validation') };
}

async function classLabels(path: string): Promise<Int32Array> {
  const { data } = await readNpy(path);
  if (data instanceof Int32Array) return data;
  throw new PerennialError('TrainerContract', 'Class weights need labels that are class indices.');
}
