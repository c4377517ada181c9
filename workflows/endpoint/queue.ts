import { ApplicationFailure } from '@temporalio/workflow';
import type { AdmitAnswer, AdmitUpdate, RolloutSlot } from '../../contracts/endpoint.ts';
import { MAX_QUEUED, slotOf, withoutRollout, withQueued, withSlot } from '../../domain/endpoint.ts';
import { isRunning } from '../activities.ts';
import type { AuditTrail } from '../audit-trail.ts';
import { told } from '../rollout/turn.ts';
import type { EndpointChanges } from './changes.ts';
import type { EndpointHolder } from './routes.ts';

/** Who is being rolled out, and who waits: one at a time, against the champion that it was judged against. */
export class EndpointQueue {
  constructor(
    private readonly holder: EndpointHolder,
    private readonly changes: EndpointChanges,
    private readonly audit: AuditTrail,
  ) {}

  /** @throws ApplicationFailure `CandidateStale` where another champion serves than the candidate was judged against */
  async admit(request: AdmitUpdate): Promise<AdmitAnswer> {
    const champion = this.holder.state.current?.version ?? null;
    if (this.holder.state.slot?.rollout === request.rollout) return { state: 'admitted', champion };
    const slot = slotOf(request, new Date().toISOString());
    this.#refuseStale(slot);
    const ahead = await this.#ahead(request);
    if (ahead?.slot && request.busy === 'supersede') await this.#supersede(ahead.slot, slot);
    else if (ahead) {
      this.#wait(slot, ahead.version);
      return { state: 'queued', behind: ahead.version };
    }
    this.holder.state = withSlot(this.holder.state, slot);
    this.#note(
      'rollout.admitted',
      'done',
      slot,
      champion === null ? 'nothing serves' : `beside version ${champion}`,
    );
    return { state: 'admitted', champion };
  }

  /** Whose turn it is after the one that ended hears of it. One that cannot be told is gone. */
  async next(): Promise<void> {
    while (this.holder.state.slot === null) {
      const [head] = this.holder.state.queue;
      if (!head || (await told(head, { state: 'yours' }))) return;
      this.holder.state = withoutRollout(this.holder.state, head.rollout);
    }
  }

  /** @throws ApplicationFailure `RolloutFailed` where too many wait */
  #wait(slot: RolloutSlot, behind: string): void {
    const { queue, table } = this.holder.state;
    if (queue.some(({ rollout }) => rollout === slot.rollout)) return;
    if (queue.length >= MAX_QUEUED) {
      const message = `${queue.length} roll-outs wait at ${table.endpoint} already; end some, or set deployment.rollout.busy to supersede`;
      this.#note('rollout.queued', 'refused', slot, message);
      throw ApplicationFailure.nonRetryable(message, 'RolloutFailed');
    }
    this.#note('rollout.queued', 'done', slot, `behind version ${behind}`);
    this.holder.state = withQueued(this.holder.state, slot);
  }

  #refuseStale(slot: RolloutSlot): void {
    const { current, table } = this.holder.state;
    const serving = current?.version ?? null;
    const { judgedAgainst, model } = slot;
    if (judgedAgainst === serving || model.version === serving) return;
    this.holder.state = withoutRollout(this.holder.state, slot.rollout);
    const message = `version ${model.version} was judged against ${judgedAgainst === null ? 'no champion' : `version ${judgedAgainst}`}, but ${serving === null ? 'none' : `version ${serving}`} serves ${table.endpoint} now; judge it again: perennial retry RUN --from evaluate`;
    this.#note('rollout.admitted', 'refused', slot, message);
    throw ApplicationFailure.nonRetryable(message, 'CandidateStale');
  }

  /** Who comes before the one that asks. Roll-outs whose workflow is gone make room. */
  async #ahead({ rollout }: AdmitUpdate): Promise<{ version: string; slot?: RolloutSlot } | undefined> {
    const { slot } = this.holder.state;
    if (slot) {
      if ((await isRunning({ workflowId: slot.rollout })).running)
        return { version: slot.model.version, slot };
      await this.#over(slot, 'its workflow is gone');
    }
    for (;;) {
      const [head] = this.holder.state.queue;
      if (!head || head.rollout === rollout) return undefined;
      if ((await isRunning({ workflowId: head.rollout })).running) return head;
      this.holder.state = withoutRollout(this.holder.state, head.rollout);
    }
  }

  async #supersede(before: RolloutSlot, by: RolloutSlot): Promise<void> {
    const reason = `version ${by.model.version} takes its place`;
    await this.#over(before, reason);
    await told(before, { state: 'over', outcome: 'superseded', by: by.requestedBy, reason });
  }

  async #over(slot: RolloutSlot, reason: string): Promise<void> {
    await this.changes.clear(slot, reason);
    this.#note('endpoint.withdrawn', 'done', slot, reason);
  }

  #note(
    action: 'rollout.admitted' | 'rollout.queued' | 'endpoint.withdrawn',
    outcome: 'done' | 'refused',
    { model, requestedBy }: RolloutSlot,
    reason: string,
  ): void {
    this.audit.note({
      action,
      outcome,
      by: requestedBy,
      how: 'engine',
      endpoint: this.holder.state.table.endpoint,
      version: model.version,
      candidate: model.onnx.sha256,
      reason,
    });
  }
}
