import { z } from 'zod';
import type { FeaturePreset } from './features.ts';
import { featurePreset } from './features.ts';
import { parameters, searchSpec } from './search.ts';

/** The trainers that ship with Perennial. */
export const trainerName = z.enum([
  'lightgbm',
  'xgboost',
  'random_forest',
  'gradient_boosting',
  'knn',
  'logistic',
  'linear',
  'mlp',
  'tfjs_linear',
]);
export type TrainerName = z.infer<typeof trainerName>;

/**
 * Iterations at the most where the spec does not say: boosting rounds (with early stopping), trees, solver steps, epochs;
 * one for what is solved at once.
 */
const DEFAULT_ITERATIONS: Record<TrainerName, number> = {
  lightgbm: 500,
  xgboost: 500,
  random_forest: 300,
  gradient_boosting: 200,
  knn: 1,
  logistic: 300,
  linear: 300,
  mlp: 20,
  tfjs_linear: 20,
};

/**
 * How each trainer takes its features where the spec does not say: `tree` as they are, missing values included, `linear`
 * imputed and scaled.
 */
export const PRESET_OF: Record<TrainerName, FeaturePreset> = {
  lightgbm: 'tree',
  xgboost: 'tree',
  random_forest: 'linear',
  gradient_boosting: 'linear',
  knn: 'linear',
  logistic: 'linear',
  linear: 'linear',
  mlp: 'linear',
  tfjs_linear: 'linear',
};

/** The resource class of candidates that name none; see `training.resources`. */
export const DEFAULT_RESOURCE = 'cpu';

export const resourceName = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'lower-case letters, digits and -');

const candidateName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/)
  .optional()
  .meta({ description: "By default the trainer's name." });

const common = {
  name: candidateName,
  parameters: parameters
    .default({})
    .meta({ description: 'Parameters with these values; they are not searched.' }),
  maxIterations: z.number().int().min(1).max(100_000).optional().meta({
    description:
      'Boosting rounds, trees, epochs or solver iterations at the most; by default 500 rounds (with early stopping), 300 trees or solver iterations, 20 epochs.',
  }),
  search: z
    .union([z.literal(false), searchSpec])
    .optional()
    .meta({
      description:
        'How the other parameters are searched. Default: tpe over the space of the trainer; false: one training with the parameters given here.',
    }),
  resource: resourceName.default(DEFAULT_RESOURCE).meta({
    description: 'The resource class that it is trained on, a key of training.resources.',
  }),
};

const foreign = {
  features: featurePreset.default('linear').meta({
    description:
      'tree: numbers as they are, missing ones as NaN; linear: imputed and scaled, categories as 0/1 columns.',
  }),
};

const shippedCandidate = z.strictObject({ trainer: trainerName, ...common });
const commandCandidate = z.strictObject({
  trainer: z.literal('command'),
  program: z
    .string()
    .min(1)
    .max(100)
    .meta({ description: "A program of the worker's PERENNIAL_PROGRAMS that keeps the trainer contract." }),
  ...common,
  ...foreign,
});
const activityCandidate = z.strictObject({
  trainer: z.literal('activity'),
  activity: z.string().min(1).max(200).meta({ description: 'Type of the activity that trains.' }),
  taskQueue: z.string().min(1).max(200).meta({ description: 'The task queue of the worker that has it.' }),
  ...common,
  ...foreign,
});

/** A model to try: the name of a trainer, or the trainer with parameters. */
export const candidate = z
  .union([
    trainerName.transform((trainer) => shippedCandidate.parse({ trainer })),
    z.discriminatedUnion('trainer', [shippedCandidate, commandCandidate, activityCandidate]),
  ])
  .transform((value) => {
    const shipped = value.trainer !== 'command' && value.trainer !== 'activity';
    return {
      ...value,
      name: value.name ?? value.trainer,
      maxIterations: value.maxIterations ?? (shipped ? DEFAULT_ITERATIONS[value.trainer] : 100),
      // What no space is known of is trained once.
      search: value.search ?? (shipped ? searchSpec.parse({ method: 'tpe' }) : (false as const)),
    };
  });
export type Candidate = z.infer<typeof candidate>;

/** How a candidate takes its features. */
export const presetOf = (one: Candidate): FeaturePreset =>
  one.trainer === 'command' || one.trainer === 'activity' ? one.features : PRESET_OF[one.trainer];

export const candidatesSpec = z
  .array(candidate)
  .min(1)
  .max(50)
  .refine((list) => new Set(list.map((item) => item.name)).size === list.length, {
    error: 'two candidates have the same name; give each a name of its own',
  });
