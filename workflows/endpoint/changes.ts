import { ApplicationFailure, CancellationScope } from '@temporalio/workflow';
import type { AuditAction } from '../../contracts/audit.ts';
import type {
  EndpointAnswer,
  EndpointChange,
  PromoteUpdate,
  RolloutSlot,
  rollbackUpdate,
  ShiftUpdate,
  WithdrawUpdate,
} from '../../contracts/endpoint.ts';
import { VERSION_TAGS } from '../../contracts/registered-version.ts';
import type { RouteTable, ServedModel } from '../../contracts/serving.ts';
import {
  answered,
  championIn,
  policyOf,
  promoted,
  recorded,
  rolledBack,
  sharedTable,
  tableFor,
  withNote,
  withoutRollout,
} from '../../domain/endpoint.ts';
import type { AuditTrail } from '../audit-trail.ts';
import { words } from '../failure-words.ts';
import { told } from '../rollout/turn.ts';
import type { EndpointRegistry } from './registry.ts';
import { rollbackTarget } from './rollback.ts';
import type { EndpointHolder, EndpointRoutes } from './routes.ts';

type Rollback = ReturnType<typeof rollbackUpdate.parse>;
type Actor = { by: string; reason: string; named: boolean };

/** A promotion whose traffic has moved. */
interface Promotion {
  request: PromoteUpdate;
  model: ServedModel;
  answer: EndpointAnswer;
  /** What served before, and how requests were treated. */
  before: { model: ServedModel | null; table: RouteTable };
}

/** What changes an endpoint's routes, one at a time. Each is answered once by its request's id. */
export class EndpointChanges {
  /** Changes since the workflow began. */
  count = 0;
  readonly #underWay = new Map<string, Promise<EndpointAnswer>>();

  constructor(
    private readonly holder: EndpointHolder,
    private readonly routes: EndpointRoutes,
    private readonly registry: EndpointRegistry,
    private readonly audit: AuditTrail,
  ) {}

  /** A request that was carried out before, or is, gets that answer. */
  async once(requestId: string, work: () => Promise<EndpointAnswer>): Promise<EndpointAnswer> {
    const before = this.holder.state.answered.find((item) => item.requestId === requestId);
    if (before) return before.output;
    // A change that is under way goes to its end, also where the workflow is cancelled.
    const underWay = this.#underWay.get(requestId) ?? CancellationScope.nonCancellable(work);
    const first = !this.#underWay.has(requestId);
    this.#underWay.set(requestId, underWay);
    try {
      const answer = await underWay;
      if (first) this.holder.state = answered(this.holder.state, requestId, answer);
      return answer;
    } finally {
      this.#underWay.delete(requestId);
    }
  }

  /** A candidate gets its share. @throws ApplicationFailure `RolloutOver`, `RolloutFailed` */
  async shift({ rollout, share, role }: ShiftUpdate): Promise<EndpointAnswer> {
    const slot = this.#slotOf(rollout);
    const { current } = this.holder.state;
    if (!current || current.version === slot.model.version)
      throw ApplicationFailure.nonRetryable(
        `update shift: ${current ? `version ${current.version} is the champion already` : 'there is no champion to share the traffic with'}; promote it`,
        'InputInvalid',
      );
    const answer = await this.#apply(
      'shift',
      slot.model.version,
      sharedTable(this.holder.state, current, slot, { share, role }),
    );
    const change = this.#change('shift', answer, slot.requestedBy, `${role} at ${share} %`);
    this.holder.state = recorded(this.holder.state, change);
    return answer;
  }

  /** Traffic moves; {@link confirmed} waits for the alias. */
  async promote(request: PromoteUpdate): Promise<Promotion> {
    const { model, policy } = this.#slotOf(request.rollout);
    const { current, table } = this.holder.state;
    const answer = await this.#apply(
      'promote',
      model.version,
      tableFor(this.holder.state, model, policy),
    ).catch((error: unknown) => {
      this.#note('endpoint.promoted', 'reverted', request, model, words(error));
      throw error;
    });
    this.holder.state = promoted(this.holder.state, model);
    this.registry.wake();
    return { request, model, answer, before: { model: current, table } };
  }

  /**
   * A promotion is done when the alias names it; where the registry refuses that, the routes go back too.
   *
   * @param turn runs a work when it is its turn
   * @throws ApplicationFailure `RolloutFailed`
   */
  async confirmed(
    { request, model, answer, before }: Promotion,
    turn: (work: () => Promise<void>) => Promise<void>,
  ): Promise<EndpointAnswer> {
    const named = await this.registry.named(model.version);
    const { endpoint } = this.holder.state.table;
    const change = this.#change('promote', answer, request.by, request.reason);
    if (named === 'overtaken') {
      this.#note(
        'endpoint.promoted',
        'reverted',
        request,
        model,
        'another change came before the alias moved',
      );
      throw ApplicationFailure.nonRetryable(
        `version ${model.version} was promoted on ${endpoint}, and another change came before the alias followed; look at the endpoint`,
        'RolloutOver',
      );
    }
    if (named === 'named') {
      this.holder.state = recorded(withoutRollout(this.holder.state, request.rollout), change);
      this.#note('endpoint.promoted', 'done', request, model, request.reason);
      return answer;
    }
    await turn(async () => {
      if (this.holder.state.current?.version !== model.version) return;
      const back = tableFor(this.holder.state, before.model, policyOf(before.table));
      this.holder.state = { ...rolledBackTo(this.holder.state, before.model), aliasProblem: null };
      this.registry.wake();
      await this.#apply('rollback', before.model?.version ?? 'none', back);
    });
    this.holder.state = recorded(withoutRollout(this.holder.state, request.rollout), {
      ...change,
      outcome: 'reverted',
    });
    this.#note('endpoint.promoted', 'reverted', request, model, named.refused);
    throw ApplicationFailure.nonRetryable(
      `version ${model.version} could not be rolled out to ${endpoint}: ${named.refused}; ${before.model ? `version ${before.model.version} serves again` : 'nothing serves, as before'}`,
      'RolloutFailed',
    );
  }

  /** A candidate answers nobody any more; one that did not anyway is forgotten. */
  async withdraw(request: WithdrawUpdate): Promise<EndpointAnswer> {
    const { slot, table, current } = this.holder.state;
    // An endpoint that was started afresh knows of no roll-out; its servers may still have the candidate.
    const lost = table.generation === 0 && current !== null;
    const answer =
      slot?.rollout === request.rollout
        ? await this.clear(slot, request.reason, request.by)
        : lost
          ? await this.#champion()
          : this.#unchanged();
    if (slot?.rollout === request.rollout)
      this.#note('endpoint.withdrawn', 'done', request, slot.model, request.reason);
    this.holder.state = withoutRollout(this.holder.state, request.rollout);
    return answer;
  }

  /** Takes a candidate's routes away and its turn with them. */
  async clear(slot: RolloutSlot, reason: string, by: string = slot.requestedBy): Promise<EndpointAnswer> {
    const { current, table } = this.holder.state;
    const beside = table.routes.some(({ model }) => model.version === slot.model.version);
    const serving = current?.version === slot.model.version;
    this.holder.state = withoutRollout(this.holder.state, slot.rollout);
    if (!beside || serving) return this.#unchanged();
    const answer = await this.#champion();
    this.holder.state = recorded(this.holder.state, this.#change('withdraw', answer, by, reason));
    return answer;
  }

  /**
   * Back: a candidate that is being rolled out goes; where there is none, or another version is named, an earlier
   * champion serves again. The alias follows by itself.
   *
   * @param seen the champion that the sender saw
   */
  async rollback(request: Rollback, seen: string | null): Promise<EndpointAnswer> {
    const { requestedBy: by, reason, to } = request;
    const { current, slot } = this.holder.state;
    const actor = { by, reason, named: true };
    if ((current?.version ?? null) !== seen)
      throw this.#refused(
        actor,
        `version ${current?.version ?? 'none'} serves, not version ${seen ?? 'none'} that the request is about; look at the endpoint and ask again`,
      );
    // One whose promotion waits for the registry is the champion already.
    const beside = slot !== null && slot.model.version !== current?.version;
    const target = beside && to === undefined ? null : await this.#target(actor, to);
    let answer: EndpointAnswer;
    if (target) {
      const from = current;
      answer = await this.#apply('rollback', target.version, tableFor(this.holder.state, target)).catch(
        (error: unknown) => {
          this.#note('endpoint.rolled-back', 'reverted', actor, target, words(error));
          throw error;
        },
      );
      this.holder.state = rolledBack(this.holder.state, target);
      this.registry.wake();
      if (from) this.#tagRolledBack(from.version, `back to version ${target.version}`, actor);
    } else answer = await this.#champion();
    if (slot) {
      this.holder.state = withoutRollout(this.holder.state, slot.rollout);
      await told(slot, {
        state: 'over',
        outcome: 'rolled_back',
        by,
        reason: reason || `rolled back by ${by}`,
      });
    }
    this.holder.state = recorded(this.holder.state, this.#change('rollback', answer, by, reason));
    this.#note('endpoint.rolled-back', 'done', actor, target ?? slot?.model ?? null, reason);
    return answer;
  }

  async #target(actor: Actor, to: string | undefined): Promise<ServedModel> {
    const target = await rollbackTarget(this.holder.state, to);
    if (typeof target === 'string') throw this.#refused(actor, target);
    return target;
  }

  #refused(actor: Actor, why: string): ApplicationFailure {
    this.#note('endpoint.rolled-back', 'refused', actor, null, why);
    return ApplicationFailure.nonRetryable(`update rollback: ${why}`, 'InputInvalid');
  }

  #slotOf(rollout: string): RolloutSlot {
    const { slot, table } = this.holder.state;
    if (slot?.rollout === rollout) return slot;
    throw ApplicationFailure.nonRetryable(
      `roll-out ${rollout} is not under way on ${table.endpoint}: it was superseded, rolled back, or never admitted`,
      'RolloutOver',
    );
  }

  /** The champion has all requests, whichever servers take that now. */
  async #champion(): Promise<EndpointAnswer> {
    const { state } = this.holder;
    const servers = await this.routes.enforced(tableFor(state, state.current));
    this.count += 1;
    return { ...this.#unchanged(), servers };
  }

  async #apply(kind: EndpointChange['kind'], version: string, table: RouteTable): Promise<EndpointAnswer> {
    const { state } = this.holder;
    const before = state.table;
    const from = state.current?.version ?? null;
    try {
      const servers = await this.routes.applied(table, () => ({
        ...before,
        generation: this.holder.state.table.generation + 1,
      }));
      this.count += 1;
      return {
        endpoint: table.endpoint,
        version: championIn(table),
        previousVersion: from,
        generation: this.holder.state.table.generation,
        since: new Date().toISOString(),
        servers,
      };
    } catch (error) {
      this.count += 1;
      this.holder.state = recorded(this.holder.state, {
        at: new Date().toISOString(),
        kind,
        generation: this.holder.state.table.generation,
        from,
        to: kind === 'shift' ? from : championIn(table),
        requestedBy: 'endpoint',
        reason: words(error).slice(0, 500),
        outcome: 'reverted',
      });
      throw ApplicationFailure.nonRetryable(
        `version ${version} could not be rolled out to ${table.endpoint}: ${words(error)}; ${from === null ? 'nothing serves, as before' : `version ${from} serves again`}`,
        'RolloutFailed',
      );
    }
  }

  #unchanged(): EndpointAnswer {
    const { table, current, acknowledged } = this.holder.state;
    return {
      endpoint: table.endpoint,
      version: current?.version ?? null,
      previousVersion: current?.version ?? null,
      generation: table.generation,
      since: new Date().toISOString(),
      servers: Object.keys(acknowledged),
    };
  }

  #change(
    kind: EndpointChange['kind'],
    { generation, previousVersion, version }: EndpointAnswer,
    requestedBy: string,
    reason: string,
  ): EndpointChange {
    const at = new Date().toISOString();
    return { at, kind, generation, from: previousVersion, to: version, requestedBy, reason, outcome: 'done' };
  }

  #tagRolledBack(version: string, what: string, { by, reason }: { by: string; reason: string }): void {
    const text = JSON.stringify({ at: new Date().toISOString(), what, by, reason: reason.slice(0, 2_000) });
    this.holder.state = withNote(this.holder.state, {
      version,
      tags: { [VERSION_TAGS.outcome]: 'rolled_back', 'perennial.rolled_back': text },
    });
  }

  #note(
    action: AuditAction,
    outcome: 'done' | 'refused' | 'reverted',
    { by, named }: { by: string; named: boolean },
    model: ServedModel | null,
    reason: string,
  ): void {
    this.audit.note({
      action,
      outcome,
      by,
      how: named ? 'named' : 'engine',
      endpoint: this.holder.state.table.endpoint,
      version: model?.version ?? null,
      candidate: model?.onnx.sha256 ?? null,
      reason: reason.slice(0, 4_000),
    });
  }
}

const rolledBackTo = (state: EndpointHolder['state'], model: ServedModel | null): EndpointHolder['state'] =>
  model ? rolledBack(state, model) : { ...state, current: null };
