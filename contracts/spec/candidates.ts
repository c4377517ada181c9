import { z } from 'zod';
import { duration } from '../durations.ts';
import type { FeaturePreset } from './features.ts';

/** The trainers that ship with Perennial. */
export const trainerName = z.enum(['lightgbm', 'logistic', 'mlp']);
export type TrainerName = z.infer<typeof trainerName>;

/** Iterations at the most where the spec does not say: boosting rounds (with early stopping), solver iterations, epochs. */
const DEFAULT_ITERATIONS: Record<TrainerName, number> = { lightgbm: 500, logistic: 300, mlp: 20 };

/** How each trainer takes its features where the spec does not say: `tree` as they are, `linear` imputed and scaled. */
export const PRESET_OF: Record<TrainerName, FeaturePreset> = {
  lightgbm: 'tree',
  logistic: 'linear',
  mlp: 'linear',
};

const candidateObject = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$/)
    .optional()
    .meta({ description: "By default the trainer's name." }),
  trainer: trainerName,
  parameters: z.record(z.string(), z.union([z.number(), z.string(), z.boolean()])).default({}),
  maxIterations: z.number().int().min(1).max(100_000).optional().meta({
    description:
      'Boosting rounds, epochs or solver iterations; by default 500 (with early stopping), 300, 20.',
  }),
});

/** A model to try: the name of a trainer, or the trainer with parameters. */
export const candidate = z
  .union([trainerName.transform((trainer) => candidateObject.parse({ trainer })), candidateObject])
  .transform((value) => ({
    ...value,
    name: value.name ?? value.trainer,
    maxIterations: value.maxIterations ?? DEFAULT_ITERATIONS[value.trainer],
  }));
export type Candidate = z.infer<typeof candidate>;

export const candidatesSpec = z
  .array(candidate)
  .min(1)
  .max(50)
  .refine((list) => new Set(list.map((item) => item.name)).size === list.length, {
    error: 'two candidates have the same name; give each a name of its own',
  })
  .default(() => [candidate.parse('lightgbm'), candidate.parse('logistic')]);

/** How training is bounded. */
export const trainingSpec = z
  .strictObject({
    seed: z.number().int().min(0).max(2_147_483_647).default(42),
    parallelism: z
      .number()
      .int()
      .min(1)
      .max(64)
      .default(2)
      .meta({ description: 'Candidates trained at the same time.' }),
    threads: z.number().int().min(1).max(256).default(2).meta({ description: 'Threads of one trainer.' }),
    timeout: duration.default('1h').meta({ description: 'The longest one candidate may train.' }),
  })
  .prefault({});
export type TrainingSpec = z.infer<typeof trainingSpec>;
