import { z } from 'zod';
import { duration } from './durations.ts';
import { artifactRef } from './refs.ts';
import { metricValues } from './reports.ts';
import { metricName } from './spec/evaluation.ts';
import { parameters, searchSpace } from './spec/search.ts';

/** A candidate's training with certain parameters. Number 0 of a candidate has the trainer's defaults (but in a grid). */
export const trialName = z.strictObject({ candidate: z.string(), number: z.number().int().nonnegative() });
export type TrialName = z.infer<typeof trialName>;

/** @example trialLabel({ candidate: 'lightgbm', number: 7 }) === 'lightgbm-7' */
export const trialLabel = ({ candidate, number }: TrialName): string => `${candidate}-${number}`;

/** A parameter as trainers report those in force. */
const parameterInForce = z.union([z.number(), z.string(), z.boolean(), z.null()]);

/**
 * What training on one pair of training and validation rows gave.
 * `trained`: there is a model. `stopped`: it was not among the best at a rung of iterations.
 */
export const trialOutcome = z.strictObject({
  state: z.enum(['trained', 'stopped']),
  mlflowRunId: z.string(),
  /** The trainer's model (features in, answers out); `null` where the trial was stopped. */
  model: artifactRef.nullable(),
  /** Answers for the validation rows as `.npy`, where they are kept (cross-validation). */
  answers: artifactRef.nullable(),
  /** The parameters in force, defaults included. */
  parameters: z.record(z.string(), parameterInForce),
  libraries: z.record(z.string(), z.string()),
  iterations: z.number().int().nonnegative(),
  bestIteration: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
  /** On the validation rows; of a stopped trial empty. */
  validation: metricValues,
});
export type TrialOutcome = z.infer<typeof trialOutcome>;

/** What is remembered of a trial. */
export const trialRecord = trialName.extend({
  /** Seconds from the beginning of the search to its own. */
  at: z.number().nonnegative().default(0),
  /** As the trainer was given them, or (defaults) as it reported them; only those that are searched. */
  parameters: z.record(z.string(), parameterInForce),
  state: z.enum(['running', 'trained', 'stopped', 'failed']),
  /** Of the metric that chooses, on validation rows or the mean of the folds; `null` where there is none. */
  value: z.number().nullable(),
  iterations: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
  mlflowRunId: z.string().optional(),
});
export type TrialRecord = z.infer<typeof trialRecord>;

/** Why a search ended. */
export const searchEnd = z.enum(['trials', 'time', 'cost', 'space', 'stopped']);
export type SearchEnd = z.infer<typeof searchEnd>;

/** What a search has used up. */
export const budgetUsed = z.strictObject({
  trials: z.number().int().nonnegative(),
  /** Wall time; at the end with the making of the models. */
  seconds: z.number().nonnegative(),
  /** At the prices of `training.resources`. */
  cost: z.number().nonnegative(),
});
export type BudgetUsed = z.infer<typeof budgetUsed>;

/** The search in numbers, for the status, the model card and MLflow. */
export const searchReport = z.strictObject({
  metric: metricName,
  /** `null` while it goes on. */
  ended: searchEnd.nullable(),
  used: budgetUsed,
  candidates: z.array(
    z.strictObject({
      name: z.string(),
      trained: z.number().int().nonnegative(),
      stopped: z.number().int().nonnegative(),
      failed: z.number().int().nonnegative(),
      best: z.number().nullable(),
    }),
  ),
  /** The trials in the order of their start; of many the latest ones and the best ones. */
  trials: z.array(trialRecord),
  /** What is to be known of the search, in words. */
  notes: z.array(z.string()).default([]),
});
export type SearchReport = z.infer<typeof searchReport>;

/** What the estimator is asked: history in, proposals out. */
export const proposalQuestion = z.strictObject({
  space: searchSpace,
  direction: z.enum(['minimize', 'maximize']),
  history: z.array(trialRecord.pick({ parameters: true, state: true, value: true })),
  /** Proposals wanted. */
  count: z.number().int().min(1).max(64),
  seed: z.number().int().nonnegative(),
});
export type ProposalQuestion = z.infer<typeof proposalQuestion>;

export const proposals = z.strictObject({ proposals: z.array(parameters).max(64) });

/** Update `budget` of workflow `training`: what is given replaces the spec's. */
export const budgetUpdate = z
  .strictObject({
    trials: z.number().int().min(1).max(10_000).optional(),
    /** Wall time from the start of the search, such as `2h`. */
    time: duration.optional(),
    cost: z.number().positive().optional(),
    parallelism: z.number().int().min(1).max(64).optional(),
  })
  .refine((update) => Object.values(update).some((value) => value !== undefined), {
    error: 'one of trials, time, cost, parallelism',
  });
export type BudgetUpdate = z.infer<typeof budgetUpdate>;

/** Update `rung`, by trials that are stopped early: how good one is after so many iterations. */
export const rungUpdate = trialName.extend({
  rung: z.number().int().positive(),
  loss: z.number(),
});
export type RungUpdate = z.infer<typeof rungUpdate>;

/** A candidate's search as it travels to the next run of the workflow. */
export const candidateState = z.strictObject({
  started: z.number().int(),
  counts: z.strictObject({ trained: z.number().int(), stopped: z.number().int(), failed: z.number().int() }),
  records: z.array(trialRecord),
  proposed: z.array(parameters),
  rungs: z.array(z.tuple([z.number(), z.array(z.strictObject({ trial: z.number(), loss: z.number() }))])),
});
export type CandidateState = z.infer<typeof candidateState>;

/** What earlier runs of the workflow `training` have done. */
export const searchProgress = z.strictObject({
  startedAt: z.number(),
  used: budgetUsed,
  limits: z.strictObject({
    trials: z.number().int(),
    time: z.string().optional(),
    cost: z.number().optional(),
  }),
  parallelism: z.number().int(),
  stopped: z.boolean(),
  candidates: z.record(z.string(), candidateState),
  /** Of the trials that may win: what each pair of rows gave. */
  kept: z.array(trialName.extend({ parameters, value: z.number(), outcomes: z.array(trialOutcome) })),
  /** The first error of each candidate that had one. */
  errors: z.record(z.string(), z.string()),
  notes: z.array(z.string()).default([]),
});
export type SearchProgress = z.infer<typeof searchProgress>;
