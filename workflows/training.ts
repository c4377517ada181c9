import { ActivityFailure, ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { z } from 'zod';
import type { TrainingInput } from '../contracts/activities.ts';
import { durationMs } from '../contracts/durations.ts';
import { jsonBytes, MAX_MESSAGE_BYTES } from '../contracts/payload-limits.ts';
import { type Candidate, candidate } from '../contracts/spec/candidates.ts';
import { task } from '../contracts/spec/task.ts';
import { trainingSpec } from '../contracts/spec/training.ts';
import { prepareOutput, splitOutput, type TrainOutput } from '../contracts/stages.ts';
import { trainCandidate } from './activities.ts';
import { parseInput } from './parse.ts';

/** Longest error of one candidate that is carried along; the whole of it stands in the history of its activity. */
const MAX_ERROR = 1_000;

const trainingInput = z.strictObject({
  candidates: z.array(candidate).min(1),
  task,
  target: z.string(),
  training: trainingSpec,
  split: splitOutput,
  prepared: prepareOutput,
  tracking: z.strictObject({ experimentId: z.string(), runId: z.string(), url: z.string() }),
  run: z.strictObject({ workflowId: z.string(), runId: z.string() }),
}) satisfies z.ZodType<TrainingInput>;

/**
 * Trains the candidates side by side, at most `training.parallelism` at a time. A candidate that fails does not
 * fail the others. Started by `lifecycle` only.
 *
 * @throws ApplicationFailure `AllCandidatesFailed`, `InputInvalid`
 */
export async function training(argument: TrainingInput): Promise<TrainOutput> {
  const {
    candidates,
    split: { columns: _columns, overlap: _overlap, cache: _cache, ...split },
    ...others
  } = parseInput(trainingInput, argument, 'the argument of workflow training');
  const shared = { ...others, split };
  // The first ones start with one message to the server.
  const room = Math.max(1, Math.floor(MAX_MESSAGE_BYTES / jsonBytes(shared)));
  const output: TrainOutput = { trained: [], failed: [] };
  const waiting = [...candidates];

  const trainOne = async (one: Candidate): Promise<void> => {
    try {
      output.trained.push(
        await trainCandidate(one.name, durationMs(shared.training.timeout))({ ...shared, candidate: one }),
      );
    } catch (error) {
      if (isCancellation(error)) throw error;
      const cause = error instanceof ActivityFailure && error.cause ? error.cause : error;
      output.failed.push({
        name: one.name,
        trainer: one.trainer,
        error: (cause instanceof Error ? cause.message : String(cause)).slice(0, MAX_ERROR),
      });
    }
  };
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await trainOne(next);
  };
  await Promise.all(
    Array.from({ length: Math.min(shared.training.parallelism, candidates.length, room) }, lane),
  );

  // Completion order depends on the machine; the spec's order does not.
  const rank = ({ name }: { name: string }): number => candidates.findIndex((item) => item.name === name);
  output.trained.sort((a, b) => rank(a) - rank(b));
  output.failed.sort((a, b) => rank(a) - rank(b));
  if (output.trained.length === 0)
    throw ApplicationFailure.nonRetryable(
      `no candidate could be trained: ${output.failed.map((failure) => `${failure.name}: ${failure.error}`).join('; ')}`,
      'AllCandidatesFailed',
    );
  return output;
}
