import { z } from 'zod';
import { duration } from '../durations.ts';
import { size } from '../sizes.ts';
import { DEFAULT_RESOURCE, resourceName } from './candidates.ts';
import { type MetricName, metricName } from './evaluation.ts';

const budget = z
  .strictObject({
    trials: z.number().int().min(1).max(10_000).default(20).meta({
      description: 'Trials of all candidates together; each candidate has at least one.',
    }),
    time: duration.optional().meta({
      description:
        'Wall time of the search. When it is used up, what is being trained ends with the best that it has so far.',
    }),
    cost: z.number().positive().optional().meta({
      description: 'What all trials together may cost, at the prices of training.resources.',
    }),
  })
  .prefault({});
export type TrainingBudget = z.infer<typeof budget>;

const resource = z.strictObject({
  taskQueue: z.string().min(1).max(200).optional().meta({
    description:
      'The task queue of the workers of this class; by default that of the run for cpu, <that queue>-<class> for others.',
  }),
  price: z
    .number()
    .nonnegative()
    .default(0)
    .meta({ description: 'Of one hour of one trial, in any currency.' }),
  parallelism: z.number().int().min(1).max(1_000).optional().meta({
    description: 'Trials of this class at the same time; training.parallelism bounds all classes together.',
  }),
});
export type ResourceSpec = z.infer<typeof resource>;

const by = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((value) => (typeof value === 'string' ? [value] : value));
const folds = z.number().int().min(2).max(20).default(5);

/**
 * Trials are judged by cross-validation over the rows of the training and the validation part together; the features are
 * fitted again for each fold. The final model is trained on the training part alone, as without.
 */
export const crossValidationSpec = z.discriminatedUnion('method', [
  z.strictObject({ method: z.literal('kfold'), folds }),
  z.strictObject({
    method: z.literal('stratified'),
    folds,
    by: by.optional().meta({ description: 'Columns whose values are the strata; by default the target.' }),
  }),
  z.strictObject({
    method: z.literal('group'),
    folds,
    by: by.meta({ description: 'Columns that name the group, whose rows stay in one fold.' }),
  }),
  z.strictObject({
    method: z.literal('time'),
    folds,
    gap: duration.optional().meta({
      description: 'Rows of this time before each fold are left out of its training rows; for example 7d.',
    }),
  }),
]);
export type CrossValidationSpec = z.infer<typeof crossValidationSpec>;

/** What a decision costs; being right costs nothing. */
const decisionCost = z
  .strictObject({
    falsePositive: z.number().nonnegative(),
    falseNegative: z.number().nonnegative(),
  })
  .refine((cost) => cost.falsePositive + cost.falseNegative > 0, { error: 'one of the two is above 0' });

/** Metrics that depend on the threshold; all others are the same for each. */
export const THRESHOLD_METRICS = [
  'accuracy',
  'balanced_accuracy',
  'precision',
  'recall',
  'f1',
  'matthews_corrcoef',
] as const satisfies readonly MetricName[];
export type ThresholdMetric = (typeof THRESHOLD_METRICS)[number];

/** From which probability on the label is the positive class. */
export const thresholdSpec = z.union([
  z.number().min(0).max(1),
  z.strictObject({ maximize: metricName }),
  z.strictObject({ cost: decisionCost }),
]);
export type ThresholdSpec = z.infer<typeof thresholdSpec>;

export const calibrationMethod = z.enum(['none', 'platt', 'isotonic']);
export type CalibrationMethod = z.infer<typeof calibrationMethod>;

const ensemble = z.strictObject({
  method: z.enum(['average', 'stack']).default('average').meta({
    description:
      'average: of the answers; stack: a linear model of the answers, fitted on out-of-fold answers (needs training.crossValidation).',
  }),
  size: z
    .number()
    .int()
    .min(2)
    .max(10)
    .default(3)
    .meta({ description: 'Trials that it is made of, the best ones.' }),
});
export type EnsembleSpec = z.infer<typeof ensemble>;

const ageWeights = z.strictObject({
  halfLife: duration.meta({
    description:
      'The age at which a row counts half as much as the latest row of its part: 0.5^((latest − t) / halfLife).',
  }),
});
export type AgeWeights = z.infer<typeof ageWeights>;

/** How training is bounded, and what becomes of the trained models. */
export const trainingSpec = z
  .strictObject({
    seed: z.number().int().min(0).max(2_147_483_647).default(42),
    parallelism: z.number().int().min(1).max(64).default(2).meta({
      description: 'Trials at the same time.',
    }),
    threads: z.number().int().min(1).max(256).default(2).meta({ description: 'Threads of one trainer.' }),
    memory: size.optional().meta({
      description: 'Memory of one trainer at the most, such as 4GB; default: no limit. On Linux.',
    }),
    timeout: duration.default('1h').meta({ description: 'The longest one trial may train.' }),
    budget,
    resources: z.record(resourceName, resource).default({}).meta({
      description: 'Resource classes: where their trials run and what they cost. cpu is always there.',
    }),
    crossValidation: crossValidationSpec.optional(),
    classWeights: z
      .union([z.literal('balanced'), z.record(z.string(), z.number().positive())])
      .optional()
      .meta({
        description:
          'How much the rows of each class count in training: balanced makes all classes count the same; or by the name of the class, 1 where none is given.',
      }),
    ageWeights: ageWeights.optional().meta({
      description:
        'Older rows count less in training, by columns.timestamp; together with class weights the two are multiplied.',
    }),
    calibration: calibrationMethod.default('none').meta({
      description:
        'Corrects the probabilities of the best model, on validation rows (or out-of-fold answers), inside the ONNX graph. platt: a logistic curve; isotonic: a rising step curve.',
    }),
    threshold: thresholdSpec.default(0.5).meta({
      description:
        'Binary: from which probability on the label is the positive class. A number; {maximize: f1}: the best one for a metric on validation rows; {cost: {falsePositive: 1, falseNegative: 10}}: the cheapest one there.',
    }),
    ensemble: ensemble.optional().meta({
      description: 'Also joins the best trials into one model, which competes with the single ones.',
    }),
  })
  .prefault({});
export type TrainingSpec = z.infer<typeof trainingSpec>;

/** The class of resources with its defaults filled in. */
export const resourceOf = ({ resources }: Pick<TrainingSpec, 'resources'>, name: string): ResourceSpec =>
  resources[name] ?? { price: 0 };

/** Issues of a spec's resources: classes that candidates name and nobody describes. */
export const unknownResources = (
  candidates: readonly { resource: string }[],
  { resources }: Pick<TrainingSpec, 'resources'>,
): { index: number; name: string }[] =>
  candidates.flatMap(({ resource: name }, index) =>
    name === DEFAULT_RESOURCE || name in resources ? [] : [{ index, name }],
  );
