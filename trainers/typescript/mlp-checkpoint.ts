import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import type { LossSum } from './objective.ts';

const FORMAT = 'perennial-mlp-1';

/** Everything that a training needs to go on exactly where it was. */
export interface TrainingState {
  /** Whole epochs done, and batches done in the one after them. */
  epoch: number;
  batch: number;
  /** The training loss of that epoch so far. */
  loss: LossSum;
  weights: Float32Array[];
  optimizer: { step: number; first: Float32Array[]; second: Float32Array[] };
  /** The epoch with the lowest validation loss; absent before there is one. */
  best?: { epoch: number; metric: number; weights: Float32Array[] } | undefined;
}

const arrays = z.array(
  z.string().transform((text) => {
    const bytes = new Uint8Array(Buffer.from(text, 'base64'));
    return new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
  }),
);
const checkpoint = z.object({
  format: z.literal(FORMAT),
  sizes: z.array(z.number().int()),
  state: z.object({
    epoch: z.number().int().nonnegative(),
    batch: z.number().int().nonnegative(),
    loss: z.object({ sum: z.number(), weight: z.number() }),
    weights: arrays,
    optimizer: z.object({ step: z.number().int(), first: arrays, second: arrays }),
    best: z.object({ epoch: z.number().int(), metric: z.number(), weights: arrays }).optional(),
  }),
});

/** The content of a checkpoint file, ready for `JSON.stringify`. Arrays are base64 of little-endian float32. */
export function checkpointContent(sizes: readonly number[], state: TrainingState): unknown {
  const { weights, optimizer, best } = state;
  return {
    format: FORMAT,
    sizes,
    state: {
      ...state,
      weights: encoded(weights),
      optimizer: { ...optimizer, first: encoded(optimizer.first), second: encoded(optimizer.second) },
      best: best && { ...best, weights: encoded(best.weights) },
    },
  };
}

/**
 * Reads a checkpoint file back.
 *
 * @param sizes the layers that the request asks for
 * @throws PerennialError `TrainerContract` where the file is no checkpoint, or of another network
 */
export async function readCheckpoint(path: string, sizes: readonly number[]): Promise<TrainingState> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new PerennialError(
      'TrainerContract',
      `The checkpoint ${path} cannot be read. Start again without resumeFrom.`,
      false,
      { cause },
    );
  }
  const parsed = checkpoint.safeParse(content);
  if (!parsed.success || parsed.data.sizes.join() !== sizes.join()) {
    throw new PerennialError(
      'TrainerContract',
      `The checkpoint ${path} is of another trainer or network. Start again without resumeFrom.`,
    );
  }
  return parsed.data.state;
}

function encoded(list: readonly Float32Array[]): string[] {
  return list.map((array) =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString('base64'),
  );
}
