import { z } from 'zod';
import { inKib, jsonBytes, MAX_SPEC_BYTES } from '../payload-limits.ts';
import { approvalSpec } from './approval.ts';
import { cacheSpec } from './cache.ts';
import { type Candidate, candidate, candidatesSpec, presetOf, type TrainerName } from './candidates.ts';
import { columnsSpec, dataSpec } from './data.ts';
import { deploymentIssues, deploymentSpec } from './deployment.ts';
import { evaluationSpec, type Gate, type MetricName } from './evaluation.ts';
import { evaluationIssues } from './evaluation-issues.ts';
import { expectation } from './expectations.ts';
import { featureViewIssues, featureViewsSpec } from './feature-views.ts';
import { featuresSpec, missingKept } from './features.ts';
import { carriesBound } from './gates.ts';
import { isBounded } from './metrics.ts';
import { monitoringIssues, monitoringSpec } from './monitoring.ts';
import { privacySpec } from './privacy.ts';
import { privacyIssues } from './privacy-roles.ts';
import { retrainingIssues, retrainingSpec } from './retraining.ts';
import { rolloutIssues } from './rollout.ts';
import { secretIssues } from './secrets.ts';
import { splitSpec } from './split.ts';
import { type Task, task } from './task.ts';
import { trainingSpec } from './training.ts';
import { trainingIssues } from './training-issues.ts';

const DEFAULT_METRIC = {
  binary: 'roc_auc',
  multiclass: 'log_loss',
  regression: 'root_mean_squared_error',
} as const satisfies Record<Task, MetricName>;

/** Of a metric between 0 and 1: what a version may surely be worse by than the one that it takes the place of. */
const MARGIN = 0.005;
const CONFIDENCE = 0.95;

/**
 * Not worse than the champion is a test of non-inferiority. Where no margin fits all data (a metric in units of the
 * target, or without an upper end), or there is no bootstrap, the values themselves are compared.
 */
const defaultGates = (metric: MetricName, resamples: number): Gate[] => [
  { metric, betterThan: 'baseline', by: 0 },
  isBounded(metric) && carriesBound(resamples, CONFIDENCE)
    ? { metric, betterThan: 'champion', by: 0, margin: MARGIN, confidence: CONFIDENCE }
    : { metric, betterThan: 'champion', by: 0 },
];

const DEFAULT_LINEAR = {
  binary: 'logistic',
  multiclass: 'logistic',
  regression: 'linear',
} as const satisfies Record<Task, TrainerName>;

const candidatesOf = (spec: { task: Task; candidates?: Candidate[] | undefined }): Candidate[] =>
  spec.candidates ?? [candidate.parse('lightgbm'), candidate.parse(DEFAULT_LINEAR[spec.task])];

/** Rules of one pipeline: the spec travels with every stage. */
const MAX_EXPECTATIONS = 1_000;

/**
 * The pipeline spec: what a team writes once about a model. Unknown keys are refused.
 *
 * @example
 * name: bank-subscription
 * task: binary
 * data: { sources: { bank: data/bank.csv } }
 * columns: { target: y, ignored: [duration] }
 */
export const pipelineSpec = z
  .strictObject({
    $schema: z.string().optional().meta({ description: 'For editors.' }),
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and -; at most 63 characters')
      .meta({ description: "The pipeline's name; also the registered model's." }),
    description: z.string().max(4000).default(''),
    task,
    data: dataSpec,
    columns: columnsSpec,
    expectations: z
      .array(expectation)
      .max(MAX_EXPECTATIONS, {
        error: ({ input }) =>
          `${Array.isArray(input) ? input.length : 'too many'} rules, at most ${MAX_EXPECTATIONS}; one rule sql holds several conditions joined by AND, one rule schema the types of all columns`,
      })
      .default([]),
    featureViews: featureViewsSpec,
    privacy: privacySpec,
    split: splitSpec,
    features: featuresSpec,
    candidates: candidatesSpec.optional().meta({
      description: 'Models to try. Default: lightgbm, and logistic or (task regression) linear.',
    }),
    training: trainingSpec,
    evaluation: evaluationSpec.prefault({}),
    approval: approvalSpec,
    deployment: deploymentSpec,
    monitoring: monitoringSpec.optional().meta({
      description: 'How the endpoint is watched; without it, it is not.',
    }),
    retraining: retrainingSpec.optional().meta({
      description: 'When the model is trained anew; without it, only when somebody starts a run.',
    }),
    cache: cacheSpec,
  })
  .superRefine((spec, context) => {
    const issues = [
      ...secretIssues(spec),
      ...privacyIssues(spec),
      ...rolloutIssues(spec),
      ...evaluationIssues(spec),
      ...deploymentIssues(spec),
      ...trainingIssues(spec),
      ...monitoringIssues(spec),
      ...retrainingIssues(spec),
      ...featureViewIssues(spec),
    ];
    for (const { path, message } of issues) context.addIssue({ code: 'custom', path, message });
    if (spec.split.method === 'time' && !spec.columns.timestamp)
      context.addIssue({
        code: 'custom',
        path: ['columns', 'timestamp'],
        message: 'split.method time needs the timestamp column',
      });
    const imputing = candidatesOf(spec).find((one) => presetOf(one) !== 'tree');
    if (imputing)
      for (const path of missingKept(spec.features))
        context.addIssue({
          code: 'custom',
          path: ['features', ...path],
          message: `none leaves numbers missing, which candidate ${imputing.name} cannot take; impute them, or leave it out (trees keep missing numbers by default)`,
        });
    if (spec.columns.positive !== undefined && spec.task !== 'binary')
      context.addIssue({
        code: 'custom',
        path: ['columns', 'positive'],
        message: 'only task binary has a positive class',
      });
  })
  .transform((spec, context) => {
    const metric: MetricName = spec.evaluation.metric ?? DEFAULT_METRIC[spec.task];
    const whole = {
      ...spec,
      candidates: candidatesOf(spec),
      evaluation: {
        ...spec.evaluation,
        metric,
        gates: spec.evaluation.gates ?? defaultGates(metric, spec.evaluation.resamples),
      },
      deployment: { ...spec.deployment, endpoint: spec.deployment.endpoint ?? spec.name },
    };
    const bytes = jsonBytes(whole);
    if (bytes > MAX_SPEC_BYTES)
      context.addIssue({
        code: 'custom',
        message: `the spec takes ${inKib(bytes)} with its defaults, at most ${inKib(MAX_SPEC_BYTES)} travel with a run; ${largest(whole)} take most of it: put long lists into a source of its own (foreign_key instead of in_set), shorten SQL`,
      });
    return whole;
  });

/** The parts of a spec that take most of its bytes, in words. */
const largest = (spec: object): string =>
  Object.entries(spec)
    .map(([name, part]) => ({ name, bytes: jsonBytes(part) }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, 2)
    .map(({ name, bytes }) => `${name} (${inKib(bytes)})`)
    .join(' and ');

/** A spec with every default filled in. */
export type PipelineSpec = z.output<typeof pipelineSpec>;
/** A spec as a person writes it. */
export type PipelineSpecInput = z.input<typeof pipelineSpec>;

/**
 * Types a spec in TypeScript; checks nothing until it is loaded.
 *
 * @example
 * export default definePipeline({ name: 'churn', task: 'binary', … });
 */
export const definePipeline = (spec: PipelineSpecInput): PipelineSpecInput => spec;
