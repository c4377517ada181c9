import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  log,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { AuditAction } from '../../contracts/audit.ts';
import {
  type RolloutState,
  type RolloutStatus,
  type RolloutStep,
  type rolloutInput,
  rolloutOrder,
  type TurnSignal,
  trafficOrder,
  turnSignal,
} from '../../contracts/rollout.ts';
import { rolloutSteps } from '../../domain/rollout/plan.ts';
import { AuditTrail } from '../audit-trail.ts';
import { handlers } from '../handlers.ts';
import { parseInput, parseSignal } from '../parse.ts';
import { rolloutDetails } from './details.ts';

type Input = ReturnType<typeof rolloutInput.parse>;

/** What a person wants of the roll-out, before its steps would have it. */
interface Order {
  kind: 'promote' | 'rollback';
  by: string;
  reason: string;
}

/** The moving parts of a roll-out: its state, and what people and the endpoint tell it. */
export class RolloutRun {
  state: RolloutState;
  readonly steps: RolloutStep[];
  readonly audit: AuditTrail;
  /** What is to be done now, whatever the steps say. */
  order: Order | undefined;
  /** The endpoint has ended it. */
  over: Extract<TurnSignal, { state: 'over' }> | undefined;
  /** The endpoint's slot may be free. */
  turn = false;
  /** Another share is asked for, and not yet in force. */
  shareAsked = false;
  /** All requests are on their way to the candidate, for good. */
  promoting = false;
  /** Why the workflow fails; who waits for an order hears of it. */
  failed: string | undefined;

  constructor(readonly input: Input) {
    this.steps = rolloutSteps(input.plan);
    this.state = input.state ?? firstState();
    this.audit = new AuditTrail(workflowInfo().workflowId, this.state.audit);
    setHandler(handlers.rollout, () => this.status);
    setHandler(handlers.turn, (signal) => this.#onTurn(signal));
    setHandler(handlers.promoteNow, (update) => this.#onOrder('promote', update), this.#checked('promote'));
    setHandler(
      handlers.rollbackCandidate,
      (update) => this.#onOrder('rollback', update),
      this.#checked('rollback'),
    );
    setHandler(handlers.pause, (update) => this.#onPause(update), this.#checked('pause'));
    setHandler(handlers.resume, (update) => this.#onResume(update), this.#checked('resume'));
    setHandler(handlers.traffic, (update) => this.#onTraffic(update), {
      validator: (update) => {
        parseInput(trafficOrder, update, 'update traffic');
        this.#refuseUntimely('traffic');
      },
    });
    this.show();
  }

  /** The state that the next run of the workflow goes on with. */
  get carried(): RolloutState {
    return { ...this.state, audit: this.audit.state };
  }

  /** The step that is under way. */
  get step(): RolloutStep | undefined {
    const step = this.steps[this.state.step];
    return step && this.state.share !== null ? { ...step, share: this.state.share } : step;
  }

  get status(): RolloutStatus {
    const { input, state } = this;
    return {
      workflowId: workflowInfo().workflowId,
      endpoint: input.endpoint,
      version: input.model.version,
      champion: state.champion,
      strategy: input.plan.strategy,
      phase: state.phase,
      steps: this.steps,
      step: state.step,
      stepSince: state.stepSince,
      share:
        state.outcome === 'promoted' || this.promoting
          ? 100
          : state.phase === 'running'
            ? (this.step?.share ?? 0)
            : 0,
      paused: state.paused,
      verdicts: state.verdicts,
      outcome: state.outcome,
      reason: state.reason,
    };
  }

  /** Whether something is to be done before the next look. */
  get urgent(): boolean {
    return this.order !== undefined || this.over !== undefined || this.shareAsked;
  }

  /** Milliseconds of the step, without those in which it was paused. */
  get elapsedMs(): number {
    const { stepSince, pausedMs, pausedSince } = this.state;
    if (stepSince === null) return 0;
    const until = pausedSince === null ? Date.now() : Date.parse(pausedSince);
    return Math.max(0, until - Date.parse(stepSince) - pausedMs);
  }

  /** The id of the next request to the endpoint. */
  requestId(): string {
    const { workflowId } = workflowInfo();
    const id = `${this.state.requests}/${workflowId}`;
    this.state.requests += 1;
    return id.slice(0, 300);
  }

  note(
    action: AuditAction,
    reason: string,
    actor: { by: string; named: boolean } = { by: this.input.requestedBy, named: false },
  ): void {
    this.audit.note({
      action,
      outcome: 'done',
      by: actor.by,
      how: actor.named ? 'named' : 'engine',
      endpoint: this.input.endpoint,
      version: this.input.model.version,
      candidate: this.input.model.onnx.sha256,
      reason,
    });
  }

  show(): void {
    setCurrentDetails(rolloutDetails(this.status));
  }

  async quiet(): Promise<void> {
    await condition(allHandlersFinished);
    await this.audit.settled();
  }

  /** Whether nothing was asked for while the audit log was brought up to date, so that the next run may take over. */
  async still(): Promise<boolean> {
    await this.audit.settled();
    const cancelled = CancellationScope.current().consideredCancelled;
    return allHandlersFinished() && this.audit.idle && !this.urgent && !this.turn && !cancelled;
  }

  #checked(name: string): { validator: (update: unknown) => void } {
    return {
      validator: (update) => {
        parseInput(rolloutOrder, update, `update ${name}`);
        this.#refuseUntimely(name);
      },
    };
  }

  /** What is over, is to be over, or has not begun takes no orders; only a rollback may come before the turn. */
  #refuseUntimely(name: string): void {
    if (this.state.phase === 'ended' || this.failed !== undefined)
      throw ApplicationFailure.nonRetryable(
        `update ${name}: the roll-out is over: ${this.failed ?? this.state.reason}`,
        'RolloutOver',
      );
    if (this.promoting)
      throw ApplicationFailure.nonRetryable(
        `update ${name}: the candidate is being promoted and waits for MLflow; roll the endpoint back: perennial rollback ${this.input.endpoint}`,
        'InputInvalid',
      );
    if (this.state.phase === 'queued' && name !== 'rollback')
      throw ApplicationFailure.nonRetryable(
        `update ${name}: the candidate waits for its turn behind another roll-out; end that one first`,
        'InputInvalid',
      );
  }

  #onTurn(signal: unknown): void {
    const parsed = parseSignal(turnSignal, signal);
    if ('refusal' in parsed) log.warn(`signal turn does not count: ${parsed.refusal}`);
    else if (parsed.value.state === 'over') this.over = parsed.value;
    else this.turn = true;
  }

  /** Answered when it is carried out. */
  async #onOrder(kind: Order['kind'], update: unknown): Promise<RolloutStatus> {
    const { by, reason } = parseInput(rolloutOrder, update, `update ${kind}`);
    this.order ??= { kind, by, reason };
    await condition(() => this.state.phase === 'ended' || this.failed !== undefined);
    if (this.failed !== undefined) throw ApplicationFailure.nonRetryable(this.failed, 'RolloutFailed');
    return this.status;
  }

  #onPause(update: unknown): RolloutStatus {
    const { by, reason } = parseInput(rolloutOrder, update, 'update pause');
    if (!this.state.paused) {
      this.state.paused = true;
      this.state.pausedSince = now();
      this.note('rollout.paused', reason, { by, named: true });
      this.show();
    }
    return this.status;
  }

  #onResume(update: unknown): RolloutStatus {
    const { by, reason } = parseInput(rolloutOrder, update, 'update resume');
    const { pausedSince } = this.state;
    if (pausedSince !== null) {
      this.state.pausedMs += Date.now() - Date.parse(pausedSince);
      this.state.paused = false;
      this.state.pausedSince = null;
      this.note('rollout.resumed', reason, { by, named: true });
      this.show();
    }
    return this.status;
  }

  /** Answered when the share is in force. */
  async #onTraffic(update: unknown): Promise<RolloutStatus> {
    const { by, reason, share } = parseInput(trafficOrder, update, 'update traffic');
    if (!this.step || this.state.phase !== 'running')
      throw ApplicationFailure.nonRetryable(
        'update traffic: the candidate has no step under way; wait for it, or promote',
        'InputInvalid',
      );
    this.state.share = share;
    this.shareAsked = true;
    this.note('rollout.traffic', `${share} %${reason ? `: ${reason}` : ''}`, { by, named: true });
    await condition(() => !this.shareAsked || this.state.phase === 'ended' || this.failed !== undefined);
    if (this.shareAsked)
      throw ApplicationFailure.nonRetryable(
        `update traffic: the roll-out ended before the share was in force: ${this.failed ?? this.state.reason}`,
        'RolloutOver',
      );
    return this.status;
  }
}

const now = (): string => new Date().toISOString();

const firstState = (): RolloutState => ({
  phase: 'queued',
  startedAt: now(),
  servedSince: null,
  servedShare: null,
  step: 0,
  stepSince: null,
  share: null,
  paused: false,
  pausedMs: 0,
  pausedSince: null,
  champion: null,
  ledger: null,
  baseline: null,
  truth: null,
  verdicts: [],
  requests: 0,
  outcome: null,
  reason: '',
  audit: { next: 0, waiting: [] },
});
