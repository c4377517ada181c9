import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  log,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import {
  admitUpdate,
  challengerFailedSignal,
  type EndpointInput,
  type EndpointState,
  endpointInput,
  promoteUpdate,
  rollbackUpdate,
  serverJoinedSignal,
  shiftUpdate,
  withdrawUpdate,
} from '../../contracts/endpoint.ts';
import { endpointWorkflowId } from '../../contracts/names.ts';
import type { ModelServerInfo } from '../../contracts/serving.ts';
import { adopted, emptyEndpoint, withIncident } from '../../domain/endpoint.ts';
import { currentChampion } from '../activities.ts';
import { AuditTrail } from '../audit-trail.ts';
import { words } from '../failure-words.ts';
import { handlers } from '../handlers.ts';
import { parseInput, parseSignal } from '../parse.ts';
import { RECONCILE_INTERVAL } from '../policies.ts';
import { EndpointChanges } from './changes.ts';
import { EndpointQueue } from './queue.ts';
import { EndpointRegistry } from './registry.ts';
import { type EndpointHolder, EndpointRoutes } from './routes.ts';

/**
 * The only writer of one endpoint: its traffic table and the alias `champion` of its registered model. Lives for
 * ever, by continue-as-new.
 *
 * Traffic moves first, the alias follows. A reader may see the new version serving while the alias still names the
 * old one; never the other way round. A promotion is answered when both are there, a rollback when every live server
 * has acknowledged it. A cancellation waits for the change that is under way.
 *
 * @throws ApplicationFailure `InputInvalid`, also under any other workflow id than the endpoint's own: a second
 *   workflow would be a second writer
 */
export async function endpoint(argument: unknown): Promise<void> {
  const input = parseInput(endpointInput, argument, 'the argument of workflow endpoint');
  const own = endpointWorkflowId(input.endpoint);
  if (workflowInfo().workflowId !== own)
    throw ApplicationFailure.nonRetryable(
      `the workflow of endpoint ${input.endpoint} has the id ${own} and no other; start it under that id`,
      'InputInvalid',
    );
  const entity = new Endpoint(input.state ?? emptyEndpoint(input.endpoint), input.state === undefined);
  try {
    do await entity.live(input.continueAfter);
    while (!(await entity.still()));
  } catch (error) {
    await CancellationScope.nonCancellable(() => entity.quiet());
    throw error;
  }
  const next: EndpointInput = {
    endpoint: input.endpoint,
    state: entity.shown,
    continueAfter: input.continueAfter,
  };
  await continueAsNew<typeof endpoint>(next);
}

class Endpoint implements EndpointHolder {
  state: EndpointState;
  readonly #routes: EndpointRoutes;
  readonly #registry: EndpointRegistry;
  readonly #audit: AuditTrail;
  readonly #queue: EndpointQueue;
  readonly #changes: EndpointChanges;
  /** How many works wait for their turn or are under way, and the last of them. */
  #works = 0;
  #last: Promise<unknown> = Promise.resolve();
  /** Whether it is known what served before this workflow began. */
  #known = true;
  #stale = true;
  /** Servers that joined, and were not offered the table since. */
  readonly #joined = new Map<string, ModelServerInfo>();

  /** @param fresh whether there is no state of an earlier run: the endpoint is new, or its workflow was lost */
  constructor(state: EndpointState, fresh: boolean) {
    this.state = state;
    this.#routes = new EndpointRoutes(this);
    this.#registry = new EndpointRegistry(this);
    this.#audit = new AuditTrail(endpointWorkflowId(state.table.endpoint), state.audit);
    this.#changes = new EndpointChanges(this, this.#routes, this.#registry, this.#audit);
    this.#queue = new EndpointQueue(this, this.#changes, this.#audit);
    // First in the queue: no change begins before it is known what serves.
    if (fresh) this.#exclusive(() => this.#adopt()).catch((error: unknown) => log.error(String(error)));
    this.#listen();
  }

  /** The state with what is on its way to the audit log. */
  get shown(): EndpointState {
    return { ...this.state, audit: this.#audit.state };
  }

  #listen(): void {
    setHandler(handlers.endpoint, () => this.shown);
    setHandler(handlers.serverJoined, (signal) => this.#onServerJoined(signal));
    setHandler(handlers.challengerFailed, (signal) => this.#onChallengerFailed(signal));
    setHandler(
      handlers.admit,
      (update) => {
        const request = parseInput(admitUpdate, update, 'update admit');
        return this.#turn(() => this.#queue.admit(request));
      },
      { validator: (update) => void parseInput(admitUpdate, update, 'update admit') },
    );
    setHandler(
      handlers.shift,
      (update) => {
        const request = parseInput(shiftUpdate, update, 'update shift');
        return this.#changes.once(request.requestId, () => this.#turn(() => this.#changes.shift(request)));
      },
      { validator: (update) => void parseInput(shiftUpdate, update, 'update shift') },
    );
    setHandler(
      handlers.promoteCandidate,
      (update) => {
        const request = parseInput(promoteUpdate, update, 'update promote');
        return this.#changes.once(request.requestId, async () => {
          try {
            const promotion = await this.#turn(() => this.#changes.promote(request));
            return await this.#changes.confirmed(promotion, (work) => this.#turn(work));
          } finally {
            await this.#turn(() => this.#queue.next());
          }
        });
      },
      { validator: (update) => void parseInput(promoteUpdate, update, 'update promote') },
    );
    setHandler(
      handlers.withdraw,
      (update) => {
        const request = parseInput(withdrawUpdate, update, 'update withdraw');
        return this.#changes.once(request.requestId, () =>
          this.#turn(async () => {
            const answer = await this.#changes.withdraw(request);
            await this.#queue.next();
            return answer;
          }),
        );
      },
      { validator: (update) => void parseInput(withdrawUpdate, update, 'update withdraw') },
    );
    setHandler(
      handlers.rollbackEndpoint,
      (update) => {
        const request = parseInput(rollbackUpdate, update, 'update rollback');
        // A rollback is about the version that its sender saw.
        const seen = request.from ?? this.state.current?.version ?? null;
        return this.#changes.once(request.requestId, () =>
          this.#turn(async () => {
            const answer = await this.#changes.rollback(request, seen);
            await this.#queue.next();
            return answer;
          }),
        );
      },
      { validator: (update) => void parseInput(rollbackUpdate, update, 'update rollback') },
    );
  }

  /** Serves handlers and keeps servers up to date until it is time to continue as new. */
  async live(continueAfter: number): Promise<void> {
    const over = (): boolean =>
      (this.#changes.count >= continueAfter || workflowInfo().continueAsNewSuggested) && this.#idle;
    while (!over()) {
      if (this.#stale && this.#works === 0) {
        this.#stale = false;
        const joined = [...this.#joined.values()];
        this.#joined.clear();
        await this.#exclusive(() => this.#routes.reconcile(joined));
      }
      const wake = (): boolean => over() || (this.#stale && this.#works === 0);
      if (this.#routes.behind) {
        if (!(await condition(wake, RECONCILE_INTERVAL))) this.#stale = true;
      } else await condition(wake);
    }
  }

  /** Nothing is asked for, changed, or on its way to the audit log. */
  get #idle(): boolean {
    return allHandlersFinished() && this.#works === 0 && this.#audit.idle;
  }

  /**
   * Stops what goes on in the background, for the next run to take over. What the registry does not know yet waits on.
   *
   * @returns `false` where something was asked for meanwhile: it goes on
   */
  async still(): Promise<boolean> {
    await this.#registry.stop();
    if (this.#idle && !CancellationScope.current().consideredCancelled) return true;
    this.#registry.start();
    return false;
  }

  /** Waits until every request is answered and no change is under way. */
  async quiet(): Promise<void> {
    do await condition(() => this.#idle);
    while (!(await this.still()));
  }

  #onServerJoined(signal: unknown): void {
    const parsed = parseSignal(serverJoinedSignal, signal);
    if ('refusal' in parsed) {
      log.warn(`signal serverJoined does not count: ${parsed.refusal}`);
      return;
    }
    this.#joined.set(parsed.value.serverId, parsed.value);
    this.#stale = true;
  }

  /** Put on record and no more; what comes of it is the roll-out's to decide. */
  #onChallengerFailed(signal: unknown): void {
    const parsed = parseSignal(challengerFailedSignal, signal);
    if ('refusal' in parsed) log.warn(`signal challengerFailed does not count: ${parsed.refusal}`);
    else if (parsed.value.endpoint !== this.state.table.endpoint)
      log.warn('signal challengerFailed does not count: it is about another endpoint');
    else this.state = withIncident(this.state, parsed.value, new Date().toISOString());
  }

  /** Work that may only begin when it is known what serves. */
  #turn<T>(work: () => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      if (!this.#known) await this.#adopt();
      return work();
    });
  }

  /**
   * One work at a time, in the order of arrival, each to its end. A chain of promises and not a `condition` on a
   * flag: the release of a flag lets all that wait for it through at once.
   */
  async #exclusive<T>(work: () => Promise<T>): Promise<T> {
    this.#works += 1;
    const turn = this.#last.then(() => CancellationScope.nonCancellable(work));
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#works -= 1;
    }
  }

  /** What the alias names is what served before this workflow knew of it; a revert must be able to go back there. */
  async #adopt(): Promise<void> {
    this.#known = false;
    const { endpoint: modelName } = this.state.table;
    const { model } = await currentChampion({ modelName }).catch((error: unknown) => {
      throw ApplicationFailure.nonRetryable(
        `nothing was changed: what serves ${modelName} now cannot be learned from MLflow: ${words(error)}`,
        'RolloutFailed',
      );
    });
    this.state = adopted(this.state, model);
    this.#known = true;
  }
}
