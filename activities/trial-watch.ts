import { activityInfo, log } from '@temporalio/activity';
import { PerennialError } from '../contracts/errors.ts';
import { UPDATES } from '../contracts/names.ts';
import type { TrialInput } from '../contracts/training-activities.ts';
import { type RungUpdate, trialLabel } from '../contracts/trials.ts';
import { liveLoss } from '../domain/search/live-loss.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { logFields } from './failure.ts';

/** Why a training was aborted that was not among the best. */
export class StoppedAtRung extends Error {
  override readonly name = 'StoppedAtRung';
  constructor(readonly iteration: number) {
    super(`not among the best after ${iteration} iterations`);
  }
}

/** What a trainer has beyond the time that it was given, to write its model. */
const GRACE_MS = 60_000;
/** Longer timers of Node go off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Ends a training before its own end: where the search says at a rung that the trial is not among the best, and where
 * the trainer does not keep the time that it was given. A search that does not answer ends nothing: an outage must
 * not cost a model.
 */
export class TrialWatch {
  readonly #stop = new AbortController();
  readonly #waiting: number[];
  readonly #timer: NodeJS.Timeout | undefined;
  /** Aborted with the activity, with {@link StoppedAtRung}, or with a `TrainerFailed`. */
  readonly signal: AbortSignal;

  constructor(
    private readonly deps: Pick<ActivityDependencies, 'client'>,
    private readonly input: Pick<TrialInput, 'trial' | 'candidate' | 'metric' | 'rungs' | 'maxSeconds'>,
    signal: AbortSignal,
  ) {
    this.#waiting = [...input.rungs];
    this.signal = AbortSignal.any([signal, this.#stop.signal]);
    const { maxSeconds, candidate } = input;
    if (maxSeconds === null) return;
    const late = new PerennialError(
      'TrainerFailed',
      `The trainer "${candidate.trainer}" was given ${maxSeconds.toFixed(1)} s (maxSeconds in its request) and did not end; it must stop iterating then and write its model.`,
    );
    const limit = Math.min(maxSeconds * 1_000 + GRACE_MS, LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => this.#stop.abort(late), limit);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  /** @param metrics that the trainer reports after so many iterations */
  note(iteration: number, metrics: Readonly<Record<string, number>>): void {
    const loss = liveLoss(metrics, this.input.metric);
    if (loss === undefined) return;
    // Trainers may report less often than there are rungs: only the highest one that was passed is asked about.
    let rung: number | undefined;
    while ((this.#waiting[0] ?? Number.POSITIVE_INFINITY) <= iteration) rung = this.#waiting.shift();
    if (rung !== undefined) void this.#ask(rung, loss, iteration);
  }

  async #ask(rung: number, loss: number, iteration: number): Promise<void> {
    const { candidate, number } = this.input.trial;
    const question: RungUpdate = { candidate, number, rung, loss };
    const { workflowExecution } = activityInfo();
    try {
      const goesOn = await this.deps
        .client()
        .workflow.getHandle(workflowExecution?.workflowId ?? '')
        .executeUpdate<boolean, [RungUpdate]>(UPDATES.rung, {
          args: [question],
          // A later attempt that comes to the same rung has the same answer.
          updateId: `${trialLabel(question)}/${rung}`,
        });
      if (!goesOn) this.#stop.abort(new StoppedAtRung(iteration));
    } catch (error) {
      log.warn('the search could not be asked whether a trial goes on', logFields(error));
    }
  }
}
