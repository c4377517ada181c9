import type { RollResult } from './roll.ts';
import type { PredictionConfig } from './settings.ts';

/** What a roll process is asked to do. */
export interface RollJob {
  readonly config: PredictionConfig;
  /** Whether it also deletes what is not kept any longer. */
  readonly expire: boolean;
}

/** What it says. */
export type RollAnswer =
  | ({ done: true; expired: number } & RollResult)
  | { done: false; message: string; retryable: boolean };
