import { activityInfo, log } from '@temporalio/activity';
import type { TrialInput } from '../contracts/activities.ts';
import { UPDATES } from '../contracts/names.ts';
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

/**
 * Asks the training workflow at each rung whether the trial goes on, while it goes on. Where the workflow does not
 * answer, it goes on: an outage must not cost a model.
 */
export class RungWatch {
  readonly #stop = new AbortController();
  readonly #waiting: number[];
  /** Aborted with the activity, and with {@link StoppedAtRung} where the trial is stopped. */
  readonly signal: AbortSignal;

  constructor(
    private readonly deps: ActivityDependencies,
    private readonly input: TrialInput,
    signal: AbortSignal,
  ) {
    this.#waiting = [...input.rungs];
    this.signal = AbortSignal.any([signal, this.#stop.signal]);
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
