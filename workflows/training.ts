import { ActivityFailure, ApplicationFailure, isCancellation } from '@temporalio/workflow';
import type { TrainingInput } from '../contracts/activities.ts';
import { durationMs } from '../contracts/durations.ts';
import type { Candidate } from '../contracts/spec/candidates.ts';
import type { TrainOutput } from '../contracts/stages.ts';
import { trainCandidate } from './activities.ts';

/**
 * Trains the candidates side by side, at most `training.parallelism` at a time. A candidate that fails does not
 * fail the others. Started by `lifecycle` only.
 *
 * @throws ApplicationFailure `AllCandidatesFailed`
 */
export async function training(input: TrainingInput): Promise<TrainOutput> {
  const { candidates, ...shared } = input;
  const output: TrainOutput = { trained: [], failed: [] };
  const waiting = [...candidates];

  const trainOne = async (candidate: Candidate): Promise<void> => {
    try {
      output.trained.push(
        await trainCandidate(candidate.name, durationMs(shared.training.timeout))({ ...shared, candidate }),
      );
    } catch (error) {
      if (isCancellation(error)) throw error;
      const cause = error instanceof ActivityFailure && error.cause ? error.cause : error;
      output.failed.push({
        name: candidate.name,
        trainer: candidate.trainer,
        error: cause instanceof Error ? cause.message : String(cause),
      });
    }
  };
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await trainOne(next);
  };
  await Promise.all(Array.from({ length: Math.min(shared.training.parallelism, candidates.length) }, lane));

  if (output.trained.length === 0)
    throw ApplicationFailure.nonRetryable(
      `no candidate could be trained: ${output.failed.map((failure) => `${failure.name}: ${failure.error}`).join('; ')}`,
      'AllCandidatesFailed',
    );
  // Completion order depends on the machine; the spec's order does not.
  const rank = (name: string): number => candidates.findIndex((candidate) => candidate.name === name);
  output.trained.sort((a, b) => rank(a.name) - rank(b.name));
  return output;
}
