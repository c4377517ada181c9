import { describe, expect, it } from 'vitest';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { candidate as candidateSchema } from '../../contracts/spec/candidates.ts';
import { trainingSpec } from '../../contracts/spec/training.ts';
import { remoteTrainerRequest, remoteTrainerResult } from '../../contracts/trainer.ts';
import { remoteRequest } from '../../domain/remote-training.ts';

const ref = (digit: string): ArtifactRef => ({
  uri: `cas:${digit.repeat(64)}`,
  sha256: digit.repeat(64),
  bytes: 1,
  mediaType: 'application/x-npy',
});

const training = {
  candidate: candidateSchema.parse({
    trainer: 'activity',
    activity: 'train',
    taskQueue: 'mine',
    name: 'own',
  }),
  task: 'binary',
  split: { classNames: ['no', 'yes'] },
  training: trainingSpec.parse({ seed: 5, threads: 3 }),
  prepared: {
    train: { features: ref('1'), labels: ref('2'), rows: 10 },
    validation: { features: ref('3'), labels: ref('4'), rows: 5 },
    featureNames: ref('5'),
  },
  parameters: { depth: 3, shape: 'round', fast: true },
} as const satisfies Omit<Parameters<typeof remoteRequest>[0], 'split'> & { split: object };
const requestOf = (changes: Partial<Parameters<typeof remoteRequest>[0]> = {}) =>
  remoteRequest({ ...training, split: { classNames: [...training.split.classNames] }, ...changes });

describe('the request to an activity of somebody else', () => {
  it('says what a program is told, by references', () => {
    const request = requestOf();
    expect(request).toEqual({
      schemaVersion: 1,
      task: 'binary',
      candidate: 'own',
      train: { features: ref('1'), labels: ref('2') },
      validation: { features: ref('3'), labels: ref('4') },
      featureNames: ref('5'),
      classNames: ['no', 'yes'],
      parameters: { depth: 3, shape: 'round', fast: true },
      seed: 5,
      threads: 3,
      maxIterations: 100,
    });
    expect(remoteTrainerRequest.parse(request)).toEqual(request);
  });

  it('holds weights and a time limit where there are some', () => {
    const weights = { train: ref('6'), validation: ref('7') };
    const request = requestOf({ weights, maxSeconds: 60 });
    expect(request).toMatchObject({ maxSeconds: 60 });
    expect(request.train).toEqual({ features: ref('1'), labels: ref('2'), weights: ref('6') });
    expect(request.validation?.weights).toEqual(ref('7'));
    expect(remoteTrainerRequest.parse(request)).toEqual(request);
    expect(requestOf({ weights: { train: ref('6') } }).validation).not.toHaveProperty('weights');
  });

  it('names no folder and no queue', () => {
    const text = JSON.stringify(requestOf());
    expect(text).not.toContain('mine');
    expect(text).not.toContain('/tmp');
  });
});

describe('its answer', () => {
  const answer = { schemaVersion: 1, iterations: 1, bestIteration: 1, parameters: {}, libraries: {} };

  it('has a model in the store', () => {
    expect(remoteTrainerResult.safeParse({ ...answer, model: ref('8') }).success).toBe(true);
    expect(remoteTrainerResult.safeParse(answer).success).toBe(false);
    expect(
      remoteTrainerResult.safeParse({ ...answer, model: { ...ref('8'), uri: 'file:///etc' } }).success,
    ).toBe(false);
  });
});
