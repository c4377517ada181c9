import { z } from 'zod';
import type { TrainerRequest } from '../../contracts/trainer.ts';
import { checkedParameters } from './mlp-parameters.ts';

/** Names, defaults and limits of every hyperparameter of the linear model. */
const schema = z.strictObject({
  optimizer: z.enum(['adam', 'sgd']).default('adam'),
  /** The optimizer's step. */
  learning_rate: z.number().positive().max(1).default(0.01),
  batch_size: z.number().int().min(1).max(65536).default(256),
  /** Penalty `l2 / 2 · ‖weights‖²`, biases excepted. */
  l2: z.number().nonnegative().default(0.0001),
  /** Epochs without a better validation loss before training stops; 0: never. */
  early_stopping_rounds: z.number().int().nonnegative().default(10),
});

/** The hyperparameters in force. */
export type LinearParameters = z.infer<typeof schema>;

/** @throws PerennialError `TrainerContract` as `checkedParameters` */
export const linearParameters = (given: TrainerRequest['parameters']): LinearParameters =>
  checkedParameters(schema, given);
