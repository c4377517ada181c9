import { z } from 'zod';
import { artifactRef } from './refs.ts';
import { task } from './spec/task.ts';

/**
 * The process contract of trainers: `PROGRAM --request request.json`. `trainers/README.md` tells it in prose.
 * Version 1. Paths are absolute and inside the scratch folder that the caller made.
 */
export const trainerRequest = z.strictObject({
  schemaVersion: z.literal(1),
  task,
  trainer: z.string(),
  train: z.strictObject({
    /** float32 `[n, f]`, C order, `.npy` version 1. */
    features: z.string(),
    /** Classification: int32 class indices `[n]`; regression: float32 `[n]`. */
    labels: z.string(),
    /** float32 `[n]`, optional. */
    weights: z.string().optional(),
  }),
  /** For early stopping and progress metrics; same shapes as `train`. */
  validation: z
    .strictObject({
      features: z.string(),
      labels: z.string(),
      /** float32 `[n]`, optional: early stopping and progress metrics count rows as the training does. */
      weights: z.string().optional(),
    })
    .optional(),
  featureNames: z.array(z.string()),
  /** Empty for regression. Index i of the labels is `classNames[i]`. */
  classNames: z.array(z.string()),
  parameters: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])),
  seed: z.number().int().nonnegative(),
  threads: z.number().int().positive(),
  /** Boosting rounds, epochs or solver iterations at the most. */
  maxIterations: z.number().int().positive(),
  /** Seconds after which no further iteration begins: the best model so far is written, as after early stopping. */
  maxSeconds: z.number().positive().optional(),
  /** A checkpoint file of an earlier attempt of the same request. */
  resumeFrom: z.string().optional(),
  checkpointDir: z.string(),
  outputDir: z.string(),
});
export type TrainerRequest = z.infer<typeof trainerRequest>;

/** One JSON line on the trainer's standard output. */
export const trainerEvent = z.discriminatedUnion('event', [
  z.object({
    event: z.literal('progress'),
    iteration: z.number().int().nonnegative(),
    maxIterations: z.number().int().positive(),
    /** For example `{"train_log_loss": 0.41, "validation_log_loss": 0.43}`; finite numbers only. */
    metrics: z.record(z.string(), z.number()),
  }),
  z.object({ event: z.literal('checkpoint'), iteration: z.number().int().nonnegative(), path: z.string() }),
  z.object({
    event: z.literal('log'),
    level: z.enum(['debug', 'info', 'warning', 'error']),
    message: z.string(),
  }),
]);
export type TrainerEvent = z.infer<typeof trainerEvent>;

/**
 * `output/result.json`, beside `output/model.onnx`. The model has one input, `features` float32 `[batch, f]`,
 * and one output: `probabilities` float32 `[batch, classes]` (classification) or `prediction` float32 `[batch, 1]`.
 */
export const trainerResult = z.object({
  schemaVersion: z.literal(1),
  /** Iterations that ran, and the one that the model stands for (early stopping). */
  iterations: z.number().int().nonnegative(),
  bestIteration: z.number().int().nonnegative(),
  /** The parameters in force, defaults included. */
  parameters: z.record(z.string(), z.union([z.number(), z.string(), z.boolean(), z.null()])),
  /** Names and versions of the libraries that trained. */
  libraries: z.record(z.string(), z.string()),
});
export type TrainerResult = z.infer<typeof trainerResult>;

const remoteMatrix = z.strictObject({
  /** float32 `[n, f]`, C order, `.npy` version 1. */
  features: artifactRef,
  /** Classification: int32 class indices `[n]`; regression: float32 `[n]`. */
  labels: artifactRef,
  /** float32 `[n]`, optional. */
  weights: artifactRef.optional(),
});

/**
 * The argument of a trainer that is an activity of somebody's own worker, in whatever language: as
 * {@link trainerRequest}, with references into the artifact store in place of paths. Where the store lies is the
 * worker's own configuration; `docs/trainers.md` has its layout.
 */
export const remoteTrainerRequest = z.strictObject({
  schemaVersion: z.literal(1),
  task,
  /** The candidate's name in the spec. */
  candidate: z.string(),
  train: remoteMatrix,
  /** For early stopping and progress metrics; never for training. */
  validation: remoteMatrix.optional(),
  /** JSON: an array of `f` strings. Not inline, since there may be many thousands. */
  featureNames: artifactRef,
  /** Empty for regression. Index i of the labels is `classNames[i]`. */
  classNames: z.array(z.string()),
  parameters: trainerRequest.shape.parameters,
  seed: trainerRequest.shape.seed,
  threads: trainerRequest.shape.threads,
  maxIterations: trainerRequest.shape.maxIterations,
  maxSeconds: trainerRequest.shape.maxSeconds,
});
export type RemoteTrainerRequest = z.infer<typeof remoteTrainerRequest>;

/** What such an activity answers: as {@link trainerResult}, with the reference of the model that it stored. */
export const remoteTrainerResult = trainerResult.extend({
  /** ONNX with the input and the output that {@link trainerResult} names. */
  model: artifactRef,
});
export type RemoteTrainerResult = z.infer<typeof remoteTrainerResult>;
