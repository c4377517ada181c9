import type { Client } from '@temporalio/client';
import { PerennialError } from '../contracts/errors.ts';
import { QUERIES, UPDATES } from '../contracts/names.ts';
import {
  type RolloutOrder,
  type RolloutStatus,
  rolloutStatus,
  type TrafficOrder,
} from '../contracts/rollout.ts';
import { executeUpdate } from './execute-update.ts';
import { answerOf } from './found.ts';

/**
 * The roll-out that is under way on an endpoint.
 *
 * @example
 * const rollout = await perennial.rollout('churn');
 * await rollout.traffic({ share: 10, by: 'ada', reason: 'slowly' });
 */
export class EndpointRollout {
  constructor(
    private readonly temporal: Client,
    readonly endpoint: string,
    readonly workflowId: string,
  ) {}

  /** Steps, share, and what the guards found. */
  async status(): Promise<RolloutStatus> {
    return rolloutStatus.parse(await this.#known(this.#handle.query(QUERIES.rollout)));
  }

  /** The candidate becomes the champion now; answered when it is. */
  promote(order: RolloutOrder): Promise<RolloutStatus> {
    return this.#order(UPDATES.promote, order);
  }

  /** The candidate answers nobody any more; answered when it does not. */
  rollback(order: RolloutOrder): Promise<RolloutStatus> {
    return this.#order(UPDATES.rollback, order);
  }

  /** No further step begins until {@link resume}; guards go on watching. */
  pause(order: RolloutOrder): Promise<RolloutStatus> {
    return this.#order(UPDATES.pause, order);
  }

  resume(order: RolloutOrder): Promise<RolloutStatus> {
    return this.#order(UPDATES.resume, order);
  }

  /** Another share for the step that is under way, whose time begins anew. */
  traffic(order: TrafficOrder): Promise<RolloutStatus> {
    return this.#order(UPDATES.traffic, order);
  }

  async #order(update: string, order: RolloutOrder | TrafficOrder): Promise<RolloutStatus> {
    return rolloutStatus.parse(await this.#known(executeUpdate(this.#handle, update, { args: [order] })));
  }

  get #handle() {
    return this.temporal.workflow.getHandle(this.workflowId);
  }

  #known<T>(answer: Promise<T>): Promise<T> {
    return answerOf(
      answer,
      (_ended, cause) =>
        new PerennialError(
          'RolloutOver',
          `the roll-out on ${this.endpoint} is over; look at the endpoint with \`perennial endpoint ${this.endpoint}\``,
          false,
          { cause },
        ),
    );
  }
}
