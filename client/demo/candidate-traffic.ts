import { setTimeout as sleep } from 'node:timers/promises';
import type { RolloutStatus } from '../../contracts/rollout.ts';
import { EndpointRollout } from '../endpoint-rollout.ts';
import type { PerennialClient } from '../perennial-client.ts';
import type { RecordedCalls } from './recorded-calls.ts';
import type { Teller } from './teller.ts';

/** Calls that come together, and the pause between: a roll-out looks once a second or less often. */
const [TOGETHER, PAUSE_MS] = [5, 200];
/** A roll-out that goes on for so long after the last call waits for calls that will not come. */
const EXHAUSTED_MS = 20_000;

/** Keeps calls coming while a candidate is rolled out: its guards compare what it and the champion answer. */
export class CandidateTraffic {
  #told = '';

  constructor(
    private readonly perennial: PerennialClient,
    private readonly endpoint: string,
    private readonly calls: RecordedCalls,
    private readonly teller: Teller,
  ) {}

  /**
   * Calls come as long as a roll-out is under way.
   *
   * @param signal ends it
   * @returns `exhausted` where the roll-out goes on and no recorded call is left
   */
  async flow(signal: AbortSignal): Promise<'over' | 'exhausted'> {
    let workflowId: string | undefined;
    let called = Date.now();
    while (!signal.aborted) {
      const { slot } = await this.perennial.endpoint(this.endpoint);
      workflowId = slot?.rollout ?? workflowId;
      if (workflowId !== undefined) await this.#tell(workflowId);
      if (!slot || (await this.calls.send(TOGETHER)) > 0) called = Date.now();
      else if (Date.now() - called > EXHAUSTED_MS) return 'exhausted';
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
    if (workflowId !== undefined) await this.#tell(workflowId);
    return 'over';
  }

  async #tell(workflowId: string): Promise<void> {
    const status = await new EndpointRollout(this.perennial.temporal, this.endpoint, workflowId)
      .status()
      .catch(() => undefined);
    const words = status && stepWords(status);
    if (words === undefined || words === this.#told) return;
    this.#told = words;
    this.teller.line(`  ${words}`);
  }
}

/** Where a roll-out is; `undefined` before its first step. */
function stepWords({
  phase,
  version,
  champion,
  steps,
  step,
  outcome,
  reason,
}: RolloutStatus): string | undefined {
  if (phase === 'ended') return `roll-out ${outcome?.replace('_', ' ') ?? 'failed'}: ${reason}`;
  const now = steps[step];
  if (phase === 'queued' || !now || champion === null) return undefined;
  return `${now.name}: version ${version} answers ${now.share} %, version ${champion} the others`;
}
