import type { GuardVerdict, RolloutStep } from '../../contracts/rollout.ts';
import { decideStep } from '../../domain/rollout/decision.ts';
import type { Ending } from './end.ts';
import type { RolloutRun } from './run.ts';
import type { RolloutWatch } from './watch.ts';

/** Looks once, and says what comes of it. */
export async function stepDecision(
  run: RolloutRun,
  watch: RolloutWatch,
  step: RolloutStep,
): Promise<'hold' | 'advance' | Ending> {
  const { verdicts, requests, baseline } = await watch.look(step);
  noteFindings(run, verdicts);
  run.state.verdicts = verdicts;
  const { next, reason } = decideStep({
    plan: run.input.plan,
    step,
    elapsedMs: run.elapsedMs,
    paused: run.state.paused,
    requests,
    verdicts,
    baseline,
  });
  run.state.reason = reason;
  if (next === 'advance') run.note('rollout.verdict', reason);
  run.show();
  return next === 'rollback' ? { kind: 'rollback', by: 'guard', reason } : next;
}

/** What ends a step is on record; a guard that passes now and waits then is not. */
function noteFindings(run: RolloutRun, verdicts: readonly GuardVerdict[]): void {
  for (const { guard, state, message } of verdicts) {
    const before = run.state.verdicts.find((verdict) => verdict.guard === guard)?.state;
    if (before !== state && (state === 'breached' || state === 'better'))
      run.note('rollout.verdict', `${state}: ${message}`);
  }
}
