import type { GuardVerdict, RolloutStep } from '../contracts/rollout.ts';
import { decideStep } from '../domain/rollout/decision.ts';
import type { Ending } from './rollout-end.ts';
import type { RolloutRun } from './rollout-run.ts';
import type { RolloutWatch } from './rollout-watch.ts';

/** Looks once, and says what comes of it. */
export async function stepDecision(
  run: RolloutRun,
  watch: RolloutWatch,
  step: RolloutStep,
): Promise<'hold' | 'advance' | Ending> {
  const { verdicts, requests } = await watch.look(step);
  noteChanges(run, verdicts);
  run.state.verdicts = verdicts;
  const { next, reason } = decideStep({
    plan: run.input.plan,
    step,
    elapsedMs: run.elapsedMs,
    paused: run.state.paused,
    requests,
    verdicts,
  });
  run.state.reason = reason;
  run.show();
  return next === 'rollback' ? { kind: 'rollback', by: 'guard', reason } : next;
}

/** A guard that changes its mind is on record; one that says the same again is not. */
function noteChanges(run: RolloutRun, verdicts: readonly GuardVerdict[]): void {
  for (const { guard, state, message } of verdicts) {
    const before = run.state.verdicts.find((verdict) => verdict.guard === guard)?.state ?? 'waiting';
    if (before !== state) run.note('rollout.verdict', `${state}: ${message}`);
  }
}
