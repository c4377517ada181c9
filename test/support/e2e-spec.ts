import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../client/platform/programs.ts';
import { loadSpec } from '../../client/spec-file.ts';

/** The folder that the bank example and its data lie in. */
export const BANK = join(packageRoot(), 'examples', 'bank');
/** The bank example as it ships. */
export const BANK_SPEC = join(BANK, 'pipeline.yaml');

/** The bank example, self-contained, with some of its top-level keys replaced. */
export async function bankSpec(changes: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
  // One trial of each candidate: the search has tests of its own.
  return { ...(await loadSpec(BANK_SPEC)).input, training: { budget: { trials: 1 } }, ...changes };
}

/** The same as a JSON file. */
export async function bankSpecFile(
  folder: string,
  name: string,
  changes: Record<string, unknown>,
): Promise<string> {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(await bankSpec(changes)));
  return file;
}

/** A candidate that trains for minutes, so that something can happen to it meanwhile. */
export const LONG_TRAINING = [
  {
    trainer: 'lightgbm',
    search: false,
    maxIterations: 100_000,
    parameters: { learning_rate: 0.0001, early_stopping_rounds: 0 },
  },
];

/** A candidate that trains for some ten seconds, with checkpoints on the way, and ends. */
export const MEDIUM_TRAINING = [
  {
    trainer: 'lightgbm',
    search: false,
    maxIterations: 3_000,
    parameters: { learning_rate: 0.005, num_leaves: 7, early_stopping_rounds: 0 },
  },
];

/** A row of the example, as its query gives it. */
export const BANK_ROW = {
  ...{ age: 41, job: 'technician', marital: 'married', education: 'secondary', in_default: false },
  ...{ balance: 1_270, housing: true, loan: false, contact: 'cellular', day: 5, month: 'may' },
  ...{ campaign: 1, pdays: -1, previous: 0, poutcome: 'unknown' },
};
