import type { RequestRows } from '../input/key-columns.ts';
import type { LoadedModel } from '../loaded-model.ts';

/** The parts of a prediction request that are timed: reading rows out of the body, the model, writing the answer. */
export const STAGES = ['read', 'run', 'write'] as const;
export type Stage = (typeof STAGES)[number];

/**
 * When the parts of one prediction request began and ended, in milliseconds of `performance.now()`. Reading the clock
 * takes some 50 ns, so that every request can have one.
 */
export class StageClock {
  readStarted = 0;
  readEnded = 0;
  /** From the rows to the outputs: features, waiting for company, the model, and the champion's where it stood in. */
  runEnded = 0;
  written = 0;
  /** The version by whose schema the rows could not be read. */
  refusedBy: LoadedModel | undefined;

  /** A reader that is timed until it succeeds; versions that stand in or get a copy read again. */
  timed(read: (model: LoadedModel) => RequestRows): (model: LoadedModel) => RequestRows {
    return (model) => {
      if (this.readStarted === 0) this.readStarted = performance.now();
      try {
        const batch = read(model);
        if (this.readEnded === 0) this.readEnded = performance.now();
        return batch;
      } catch (error) {
        this.refusedBy = model;
        throw error;
      }
    };
  }

  /** Milliseconds. */
  took(stage: Stage): number {
    switch (stage) {
      case 'read':
        return this.readEnded - this.readStarted;
      case 'run':
        return this.runEnded - this.readEnded;
      case 'write':
        return this.written - this.runEnded;
    }
  }
}
