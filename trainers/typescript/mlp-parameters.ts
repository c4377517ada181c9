import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import type { TrainerRequest } from '../../contracts/trainer.ts';

const MAX_LAYERS = 8;
const MAX_UNITS = 4096;

const hidden = z
  .union([z.string(), z.number().int()])
  .transform(String)
  .refine((text) => /^\d+(\s*,\s*\d+)*$/.test(text), 'must be units per layer, for example "64" or "64,32"')
  .refine((text) => {
    const units = layerUnits(text);
    return units.length <= MAX_LAYERS && units.every((count) => count >= 1 && count <= MAX_UNITS);
  }, `must have at most ${MAX_LAYERS} layers of 1 to ${MAX_UNITS} units`);

/** Names, defaults and limits of every hyperparameter of the multilayer perceptron. */
const schema = z.strictObject({
  /** Units of the hidden layers. */
  hidden: hidden.default('64,32'),
  /** Adam's step. */
  learning_rate: z.number().positive().max(1).default(0.001),
  batch_size: z.number().int().min(1).max(65536).default(256),
  /** Penalty `l2 / 2 · ‖weights‖²`, biases excepted. */
  l2: z.number().nonnegative().default(0.0001),
  /** Epochs without a better validation loss before training stops; 0: never. */
  early_stopping_rounds: z.number().int().nonnegative().default(10),
});

/** The hyperparameters in force. */
export type MlpParameters = z.infer<typeof schema>;

/** `"64,32"` to `[64, 32]`; a model without hidden layers has no such text. */
export function layerUnits(text: string | undefined): number[] {
  return text === undefined ? [] : text.split(',').map(Number);
}

/**
 * Defaults overridden by what was given.
 *
 * @throws PerennialError `TrainerContract` naming the parameter, and the nearest right word where it is unknown
 */
export function mlpParameters(given: TrainerRequest['parameters']): MlpParameters {
  return checkedParameters(schema, given);
}

/**
 * The parameters of a trainer: defaults overridden by what was given.
 *
 * @throws PerennialError `TrainerContract` naming the parameter, and the nearest right word where it is unknown
 */
export function checkedParameters<S extends z.ZodObject>(
  schema: S,
  given: TrainerRequest['parameters'],
): z.infer<S> {
  const allowed = Object.keys(schema.shape).sort();
  for (const name of Object.keys(given)) {
    if (allowed.includes(name)) continue;
    const word = nearest(name, allowed);
    const hint = word ? ` Did you mean "${word}"?` : '';
    throw new PerennialError(
      'TrainerContract',
      `The parameter "${name}" is unknown.${hint} Allowed: ${allowed.join(', ')}.`,
    );
  }
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PerennialError(
    'TrainerContract',
    `The parameter "${issue?.path.join('.')}": ${issue?.message ?? 'invalid'}.`,
  );
}
