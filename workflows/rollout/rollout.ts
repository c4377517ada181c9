import {
  ApplicationFailure,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  workflowInfo,
} from '@temporalio/workflow';
import {
  type RolloutInput,
  type RolloutResult,
  type RolloutStep,
  rolloutInput,
} from '../../contracts/rollout.ts';
import { words } from '../failure-words.ts';
import { parseInput } from '../parse.ts';
import { type Ending, RolloutEnd } from './end.ts';
import { RolloutRequests } from './requests.ts';
import { RolloutRun } from './run.ts';
import { stepDecision } from './steps.ts';
import { RolloutWatch } from './watch.ts';

/** How often one that waits asks again whether it is its turn, should the endpoint have forgotten it. */
const TURN_POLL = '10m';
/** After so long a step is looked at first, and so long at the most lies between two looks at the servers. */
const FIRST_LOOK_MS = 200;
const LAST_LOOK_MS = 300_000;

/**
 * Brings a candidate into production, or not: takes its turn at the endpoint, goes through the steps of its
 * strategy while guards hold it against the champion, and promotes it or rolls it back. Lives as long as that takes.
 *
 * @param argument see `rolloutInput` in contracts/rollout.ts
 * @returns how it ended; a candidate that was rolled back is a result, not a failure
 * @throws ApplicationFailure `CandidateStale` where another champion serves than it was judged against,
 *   `RolloutFailed` where routes could not be applied, `InputInvalid`
 */
export async function rollout(argument: unknown): Promise<RolloutResult> {
  const input = parseInput(rolloutInput, argument, 'the argument of workflow rollout');
  const run = new RolloutRun(input);
  const requests = new RolloutRequests(run);
  const end = new RolloutEnd(run, requests);
  try {
    do {
      const ending = await carried(run, requests).catch(async (error: unknown) => {
        const over = await end.overtaken(error);
        if (over) return over;
        throw error;
      });
      if (ending !== 'continue')
        return await CancellationScope.nonCancellable(async () => {
          const result = await end.ended(ending);
          await run.quiet();
          return result;
        });
      // What is asked for while the log is written is not lost with this run of the workflow.
    } while (!(await run.still()));
  } catch (error) {
    await CancellationScope.nonCancellable(async () => {
      await end.failed(isCancellation(error) ? 'cancelled' : words(error));
      await run.quiet();
    });
    throw isCancellation(error) ? error : failure(error);
  }
  const { state: _, ...same } = input;
  const next: RolloutInput = { ...same, state: run.carried };
  return continueAsNew<typeof rollout>(next);
}

/** Goes on from where it stands until it is known how it ends, or until it is time to continue as new. */
async function carried(run: RolloutRun, requests: RolloutRequests): Promise<Ending | 'continue'> {
  const { state } = run;
  const watch = new RolloutWatch(run.input, run);
  if (state.phase === 'queued') {
    const early = await itsTurn(run, requests);
    if (early) return early;
    if (run.state.phase === 'queued') return 'continue';
    // Nothing to be held against: the first version of an endpoint, or the champion itself once more.
    if (run.state.champion === null || run.state.champion === run.input.model.version)
      return { kind: 'promote', by: run.input.requestedBy, reason: 'nothing else serves' };
    if (run.steps.some(({ name }) => name === 'blue-green')) await watch.baseline();
  }
  for (let looks = 0; ; ) {
    const early = asked(run);
    if (early) return early;
    const { step } = run;
    if (!step)
      return {
        kind: 'promote',
        by: run.input.requestedBy,
        reason: run.steps.length > 0 ? 'every step passed' : `strategy ${run.input.plan.strategy}`,
      };
    if (run.state.ledger === null || run.shareAsked) await requests.shift(step);
    await condition(() => run.urgent, run.state.paused ? step.lookMs : untilLook(step, run.elapsedMs));
    if (run.urgent) continue;
    const decision = await stepDecision(run, watch, step);
    looks += 1;
    if (decision === 'advance') advance(run);
    else if (decision !== 'hold') return decision;
    const full = looks >= run.input.continueAfter || workflowInfo().continueAsNewSuggested;
    if (full && !run.urgent) return 'continue';
  }
}

/** A candidate that is bad shows it at once: looks come in quick succession first, then at the step's pace. */
function untilLook({ lookMs, holdMs }: RolloutStep, elapsedMs: number): number {
  const pace = Math.min(lookMs, LAST_LOOK_MS, Math.max(FIRST_LOOK_MS, elapsedMs / 10));
  const held = holdMs - elapsedMs;
  return held > 0 ? Math.max(1, Math.min(pace, held)) : pace;
}

/** Waits for the endpoint's slot; an order may come first. It is still queued where the history is full. */
async function itsTurn(run: RolloutRun, requests: RolloutRequests): Promise<Ending | undefined> {
  for (;;) {
    run.turn = false;
    const answer = await requests.admit();
    if (answer.state === 'admitted') {
      run.state.champion = answer.champion;
      run.state.phase = 'running';
      run.show();
      return asked(run);
    }
    log.info(`waits behind version ${answer.behind}`);
    await condition(() => run.turn || run.urgent, TURN_POLL);
    const early = asked(run);
    if (early) return early;
    if (workflowInfo().continueAsNewSuggested && !run.turn) return undefined;
  }
}

/** What the endpoint or a person wants now. */
function asked({ over, order }: RolloutRun): Ending | undefined {
  if (over) return { kind: 'over', outcome: over.outcome, by: over.by, reason: over.reason };
  return order && { ...order, named: true };
}

function advance(run: RolloutRun): void {
  run.state.step += 1;
  run.state.share = null;
  run.state.ledger = null;
  run.state.pausedMs = 0;
}

const failure = (error: unknown): ApplicationFailure => {
  const cause = error instanceof Error && error.cause instanceof ApplicationFailure ? error.cause : error;
  return cause instanceof ApplicationFailure
    ? cause
    : ApplicationFailure.nonRetryable(words(error), 'RolloutFailed');
};
