import { ApplicationFailure, CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { EndpointAsk } from '../../contracts/activities.ts';
import {
  type AdmitAnswer,
  admitAnswer,
  type EndpointAnswer,
  endpointAnswer,
  type PromoteUpdate,
} from '../../contracts/endpoint.ts';
import type { RolloutStep } from '../../contracts/rollout.ts';
import { emptyLedger } from '../../domain/rollout/evidence.ts';
import { askEndpoint } from '../activities.ts';
import type { RolloutRun } from './run.ts';

/** Who wants it and why; `named`: a person. */
type Who = Pick<PromoteUpdate, 'by' | 'reason' | 'named'>;

/** What a roll-out asks of its endpoint. */
export class RolloutRequests {
  constructor(private readonly run: RolloutRun) {}

  admit(): Promise<AdmitAnswer> {
    const { model, policy, judgedAgainst, requestedBy, plan } = this.run.input;
    return CancellationScope.nonCancellable(async () =>
      admitAnswer.parse(
        await this.#ask({
          update: 'admit',
          request: { ...this.#named(), model, policy, judgedAgainst, requestedBy, busy: plan.busy },
        }),
      ),
    );
  }

  /** The candidate gets the share of a step; the window of its evidence begins when every server has it. */
  async shift({ name, share, role }: RolloutStep): Promise<void> {
    const { run } = this;
    const asked = run.state.share;
    const answer = await this.#change({ update: 'shift', request: { ...this.#named(), share, role } });
    run.state.ledger = emptyLedger(answer.generation, answer.since);
    run.state.stepSince = answer.since;
    // Truth is compared over a time in which both had the same share, however many steps that is.
    const served = `${role} ${share}`;
    if (run.state.servedShare !== served) {
      run.state.servedSince = answer.since;
      run.state.servedShare = served;
      run.state.truth = null;
    }
    run.state.pausedMs = 0;
    if (run.state.paused) run.state.pausedSince = answer.since;
    // A person may have asked for another one meanwhile.
    if (run.state.share === asked) run.shareAsked = false;
    run.note('rollout.step', `${name}: ${role} at ${share} %, generation ${answer.generation}`);
    run.show();
  }

  promote(who: Who): Promise<EndpointAnswer> {
    return this.#change({ update: 'promote', request: { ...this.#named(), ...who } });
  }

  withdraw(outcome: 'rolled_back' | 'withdrawn', who: Who): Promise<EndpointAnswer> {
    return this.#change({ update: 'withdraw', request: { ...this.#named(), ...who, outcome } });
  }

  #named(): { requestId: string; rollout: string } {
    return { requestId: this.run.requestId(), rollout: workflowInfo().workflowId };
  }

  /** To its end, whatever becomes of this workflow: a change that is under way has no answer to give up on. */
  #change(ask: EndpointAsk): Promise<EndpointAnswer> {
    return CancellationScope.nonCancellable(async () => endpointAnswer.parse(await this.#ask(ask)));
  }

  async #ask(ask: EndpointAsk): Promise<unknown> {
    try {
      return await askEndpoint(ask.update)({ endpoint: this.run.input.endpoint, ask });
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      throw cause instanceof ApplicationFailure ? cause : error;
    }
  }
}
