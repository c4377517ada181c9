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
  challengerFailedSignal,
  type DeployUpdate,
  deployUpdate,
  type EndpointInput,
  type EndpointState,
  endpointInput,
  rollbackUpdate,
  serverJoinedSignal,
} from '../contracts/endpoint.ts';
import { endpointWorkflowId } from '../contracts/names.ts';
import type { ModelServerInfo, RouteTable } from '../contracts/serving.ts';
import type { DeployOutput } from '../contracts/stages.ts';
import {
  adopted,
  completed,
  emptyEndpoint,
  policyOf,
  reverted,
  tableFor,
  withIncident,
  withPending,
  withTable,
} from '../domain/endpoint.ts';
import { currentChampion, listModelServers, serverActivities, setChampion } from './activities.ts';
import { handlers } from './handlers.ts';
import { liveServers } from './model-servers.ts';
import { parseInput, parseSignal } from './parse.ts';
import { RECONCILE_INTERVAL } from './policies.ts';

/**
 * The only writer of one endpoint: its traffic table and the alias `champion` of its registered model go forward
 * or back together. Lives for ever, by continue-as-new.
 *
 * A reader may see, for the moment between the two steps, the new version serving while the alias still names the
 * old one; never the other way round. A cancellation waits for the change that is under way.
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
    await entity.live(input.continueAfter);
  } finally {
    await CancellationScope.nonCancellable(() => entity.quiet());
  }
  const next: EndpointInput = {
    endpoint: input.endpoint,
    state: entity.state,
    continueAfter: input.continueAfter,
  };
  await continueAsNew<typeof endpoint>(next);
}

/** The message that was written for people, below Temporal's own wrapping. */
const innermost = (error: unknown): string =>
  error instanceof Error
    ? error.cause instanceof Error
      ? error.cause.message
      : error.message
    : String(error);

/** A server that did not take a table. */
interface Refusal {
  serverId: string;
  why: string;
}

class Endpoint {
  state: EndpointState;
  /** How many works wait for their turn or are under way, and the last of them. */
  #works = 0;
  #last: Promise<unknown> = Promise.resolve();
  #changes = 0;
  /** Whether it is known what served before this workflow began. */
  #known = true;
  #stale = true;

  /** @param fresh whether there is no state of an earlier run: the endpoint is new, or its workflow was lost */
  constructor(state: EndpointState, fresh: boolean) {
    this.state = state;
    // First in the queue: no change begins before it is known what serves.
    if (fresh) this.#exclusive(() => this.#adopt()).catch((error: unknown) => log.error(String(error)));
    setHandler(handlers.endpoint, () => this.state);
    setHandler(handlers.serverJoined, (signal) => this.#onServerJoined(signal));
    setHandler(handlers.challengerFailed, (signal) => this.#onChallengerFailed(signal));
    setHandler(handlers.deploy, (update) => this.#deploy(parseInput(deployUpdate, update, 'update deploy')), {
      validator: (update) => void parseInput(deployUpdate, update, 'update deploy'),
    });
    setHandler(handlers.rollback, (update) => this.#rollback(update), {
      validator: (update) => this.#checkRollback(update),
    });
  }

  /** Serves handlers and keeps servers up to date until it is time to continue as new. */
  async live(continueAfter: number): Promise<void> {
    await this.#resumePending();
    const over = (): boolean => this.#changes >= continueAfter || workflowInfo().continueAsNewSuggested;
    while (!over()) {
      if (this.#stale && this.#works === 0) await this.#exclusive(() => this.#reconcile());
      const wake = (): boolean => over() || (this.#stale && this.#works === 0);
      if (this.#unacknowledged()) {
        if (!(await condition(wake, RECONCILE_INTERVAL))) this.#stale = true;
      } else await condition(wake);
    }
  }

  /** Waits until every request is answered and no change is under way. */
  async quiet(): Promise<void> {
    await condition(() => allHandlersFinished() && this.#works === 0);
  }

  /** Whether a live server has not confirmed the table in force. */
  #unacknowledged(): boolean {
    return Object.values(this.state.acknowledged).some(
      (generation) => generation < this.state.table.generation,
    );
  }

  #onServerJoined(signal: unknown): void {
    const parsed = parseSignal(serverJoinedSignal, signal);
    if ('refusal' in parsed) {
      log.warn(`signal serverJoined does not count: ${parsed.refusal}`);
      return;
    }
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

  /** A change that continue-as-new or a failure interrupted goes forward to its end. */
  async #resumePending(): Promise<void> {
    const { pending } = this.state;
    if (pending)
      await this.#exclusive(() => this.#change(pending)).catch((error: unknown) =>
        log.warn(`the pending change was reverted: ${String(error)}`),
      );
  }

  #deploy(request: DeployUpdate): Promise<DeployOutput> {
    return this.#once(request.requestId, async () => {
      const serving = this.state.current?.version ?? null;
      if (request.judgedAgainst !== undefined && request.judgedAgainst !== serving)
        throw ApplicationFailure.nonRetryable(
          `version ${request.model.version} was judged against ${request.judgedAgainst === null ? 'no champion' : `version ${request.judgedAgainst}`}, but ${serving === null ? 'none' : `version ${serving}`} serves ${this.state.table.endpoint} now; judge it again: perennial retry RUN --from evaluate`,
          'CandidateStale',
        );
      return this.#change(request);
    });
  }

  /** Carries a request out when it is its turn; one that was carried out before gets its answer again. */
  #once(requestId: string, work: () => Promise<DeployOutput>): Promise<DeployOutput> {
    return this.#exclusive(async () => {
      const answered = this.state.answered.find((item) => item.requestId === requestId);
      if (answered) return answered.output;
      if (!this.#known) await this.#adopt();
      return work();
    });
  }

  #checkRollback(argument: unknown): void {
    const request = parseInput(rollbackUpdate, argument, 'update rollback');
    const repeated = this.state.answered.some((item) => item.requestId === request.requestId);
    if (!this.state.previous && !repeated)
      throw ApplicationFailure.nonRetryable(
        'update rollback: there is no version before the current one',
        'InputInvalid',
      );
  }

  /** A rollback is about the version that its sender saw; where another came into force meanwhile, it is refused. */
  #rollback(argument: unknown): Promise<DeployOutput> {
    const { requestId, requestedBy, reason, from } = parseInput(rollbackUpdate, argument, 'update rollback');
    const seen = from ?? this.state.current?.version;
    return this.#once(requestId, async () => {
      const { current, previous } = this.state;
      if (!previous || current?.version !== seen)
        throw ApplicationFailure.nonRetryable(
          `update rollback: version ${current?.version ?? 'none'} serves, not version ${seen ?? 'none'} that the request is about, or there is none before it; look at the endpoint and ask again`,
          'InputInvalid',
        );
      return this.#change({ model: previous, requestId, requestedBy }, { reason });
    });
  }

  /** What the alias names is what served before this workflow knew of it; a revert must be able to go back there. */
  async #adopt(): Promise<void> {
    this.#known = false;
    const { endpoint: modelName } = this.state.table;
    const { model } = await currentChampion({ modelName }).catch((error: unknown) => {
      throw ApplicationFailure.nonRetryable(
        `nothing was changed: what serves ${modelName} now cannot be learned from MLflow: ${innermost(error)}`,
        'RolloutFailed',
      );
    });
    this.state = adopted(this.state, model);
    this.#known = true;
  }

  /** Intent, then traffic, then alias; both back where one of them cannot be had. */
  async #change(request: DeployUpdate, rollback?: { reason: string }): Promise<DeployOutput> {
    const before = this.state;
    let aliasTouched = false;
    this.state = withPending(before, request);
    try {
      const servers = await this.#apply(tableFor(this.state, request.model, request.policy));
      aliasTouched = true;
      await setChampion({ modelName: before.table.endpoint, version: request.model.version });
      const output: DeployOutput = {
        endpoint: before.table.endpoint,
        version: request.model.version,
        generation: this.state.table.generation,
        previousVersion: before.current?.version ?? null,
        servers,
      };
      this.state = completed(this.state, request, output, new Date().toISOString(), rollback);
      this.#changes += 1;
      return output;
    } catch (error) {
      await this.#offer(
        tableFor(this.state, before.current, policyOf(before.table)),
        (await listModelServers({})).servers,
      );
      if (aliasTouched) await this.#restoreAlias(before);
      this.state = reverted(this.state, request, new Date().toISOString());
      this.#changes += 1;
      const why = innermost(error);
      throw ApplicationFailure.nonRetryable(
        `version ${request.model.version} could not be rolled out to ${before.table.endpoint}: ${why}; ${before.current ? `version ${before.current.version} serves again` : 'nothing serves, as before'}`,
        'RolloutFailed',
      );
    }
  }

  /** The alias goes back with the routes. Where MLflow refuses that too, the routes still do. */
  async #restoreAlias(before: EndpointState): Promise<void> {
    await setChampion({ modelName: before.table.endpoint, version: before.current?.version ?? null }).catch(
      (error: unknown) => log.error(`the alias champion could not be put back: ${String(error)}`),
    );
  }

  /** Every live server takes the table, or the change fails. A server whose lease ended meanwhile does not count. */
  async #apply(table: RouteTable): Promise<string[]> {
    const refusals = await this.#offer(table, await liveServers());
    const stillLive = new Set((await listModelServers({})).servers.map((server) => server.serverId));
    const failed = refusals.filter((refusal) => stillLive.has(refusal.serverId));
    if (failed.length > 0)
      throw ApplicationFailure.nonRetryable(
        failed.map(({ serverId, why }) => `server ${serverId}: ${why}`).join('; '),
        'RolloutFailed',
      );
    const servers = Object.entries(this.state.acknowledged).filter(
      ([, generation]) => generation === this.state.table.generation,
    );
    if (servers.length === 0)
      throw ApplicationFailure.nonRetryable('every model server went away', 'ServerUnavailable');
    return servers.map(([serverId]) => serverId);
  }

  /**
   * Offers a table to servers and writes down who took it; returns who did not, and why. A server may be ahead,
   * where the endpoint's workflow was terminated and started afresh: the table then goes out under a generation
   * above that server's.
   */
  async #offer(table: RouteTable, servers: ModelServerInfo[]): Promise<Refusal[]> {
    const refusals = await this.#offerOnce(table, servers);
    const highest = Math.max(...Object.values(this.state.acknowledged));
    return highest > table.generation
      ? this.#offer({ ...table, generation: highest + 1 }, servers)
      : refusals;
  }

  async #offerOnce(table: RouteTable, servers: ModelServerInfo[]): Promise<Refusal[]> {
    const previous = this.state.acknowledged;
    this.state = {
      ...withTable(this.state, table, {}),
      acknowledged: Object.fromEntries(servers.map(({ serverId }) => [serverId, previous[serverId] ?? -1])),
    };
    const answers = await Promise.allSettled(
      servers.map((server) => serverActivities(server.taskQueue).applyRoutes({ table })),
    );
    const refusals: Refusal[] = [];
    for (const [index, answer] of answers.entries()) {
      const serverId = servers[index]?.serverId ?? '';
      if (answer.status === 'fulfilled') this.state.acknowledged[serverId] = answer.value.generation;
      else refusals.push({ serverId, why: innermost(answer.reason) });
    }
    return refusals;
  }

  /** Offers the table in force to every live server; one that came back under its old name may have lost it. */
  async #reconcile(): Promise<void> {
    this.#stale = false;
    if (this.state.table.generation === 0) return;
    const { servers } = await listModelServers({});
    await this.#offer(this.state.table, servers);
  }
}
