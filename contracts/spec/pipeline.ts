import { z } from 'zod';
import { approvalSpec } from './approval.ts';
import { cacheSpec } from './cache.ts';
import { candidatesSpec, PRESET_OF, trainingSpec } from './candidates.ts';
import { columnsSpec, dataSpec } from './data.ts';
import { deploymentSpec, monitoringSpec } from './deployment.ts';
import { evaluationSpec, type Gate, METRICS, type MetricName } from './evaluation.ts';
import { expectation } from './expectations.ts';
import { featuresSpec, missingKept } from './features.ts';
import { privacySpec } from './privacy.ts';
import { privacyIssues } from './privacy-roles.ts';
import { secretIssues } from './secrets.ts';
import { splitSpec } from './split.ts';
import { type Task, task } from './task.ts';

const DEFAULT_METRIC = {
  binary: 'roc_auc',
  multiclass: 'log_loss',
  regression: 'root_mean_squared_error',
} as const satisfies Record<Task, MetricName>;

const defaultGates = (metric: MetricName): Gate[] => [
  { metric, betterThan: 'baseline', by: 0 },
  { metric, betterThan: 'champion', by: 0 },
];

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
    expectations: z.array(expectation).default([]),
    privacy: privacySpec,
    split: splitSpec,
    features: featuresSpec,
    candidates: candidatesSpec,
    training: trainingSpec,
    evaluation: evaluationSpec.prefault({}),
    approval: approvalSpec,
    deployment: deploymentSpec,
    monitoring: monitoringSpec,
    cache: cacheSpec,
  })
  .superRefine((spec, context) => {
    for (const { path, message } of secretIssues(spec)) context.addIssue({ code: 'custom', path, message });
    for (const { path, message } of privacyIssues(spec)) context.addIssue({ code: 'custom', path, message });
    const allowed: readonly string[] = METRICS[spec.task];
    const used = [
      ...(spec.evaluation.metric ? [{ metric: spec.evaluation.metric, path: ['evaluation', 'metric'] }] : []),
      ...(spec.evaluation.gates ?? []).map((item, index) => ({
        metric: item.metric,
        path: ['evaluation', 'gates', index, 'metric'],
      })),
    ];
    for (const { metric, path } of used)
      if (!allowed.includes(metric))
        context.addIssue({
          code: 'custom',
          path,
          message: `${metric} does not fit task ${spec.task}; use one of ${allowed.join(', ')}`,
        });
    if (spec.split.method === 'time' && !spec.columns.timestamp)
      context.addIssue({
        code: 'custom',
        path: ['columns', 'timestamp'],
        message: 'split.method time needs the timestamp column',
      });
    const imputing = spec.candidates.find(({ trainer }) => PRESET_OF[trainer] !== 'tree');
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
  .transform((spec) => {
    const metric: MetricName = spec.evaluation.metric ?? DEFAULT_METRIC[spec.task];
    return {
      ...spec,
      evaluation: { metric, gates: spec.evaluation.gates ?? defaultGates(metric) },
      deployment: { ...spec.deployment, endpoint: spec.deployment.endpoint ?? spec.name },
    };
  });

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
