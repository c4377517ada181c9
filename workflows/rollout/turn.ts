import { getExternalWorkflowHandle, log } from '@temporalio/workflow';
import type { RolloutSlot } from '../../contracts/endpoint.ts';
import { SIGNALS } from '../../contracts/names.ts';
import type { TurnSignal } from '../../contracts/rollout.ts';

/** Tells a roll-out what became of it; `false` where its workflow is gone. */
export async function told({ rollout }: Pick<RolloutSlot, 'rollout'>, signal: TurnSignal): Promise<boolean> {
  try {
    await getExternalWorkflowHandle(rollout).signal(SIGNALS.turn, signal);
    return true;
  } catch (error) {
    log.warn(`roll-out ${rollout} could not be told: ${String(error)}`);
    return false;
  }
}
