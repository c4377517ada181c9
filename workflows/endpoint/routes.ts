import { ApplicationFailure, patched } from '@temporalio/workflow';
import type { EndpointState } from '../../contracts/endpoint.ts';
import type { ModelServerInfo, RouteTable } from '../../contracts/serving.ts';
import { withTable } from '../../domain/endpoint.ts';
import { listModelServers, serverActivities } from '../activities.ts';
import { words } from '../failure-words.ts';
import { liveServers } from './model-servers.ts';

/** Where the state of an endpoint stands; every part of its workflow works on the same one. */
export interface EndpointHolder {
  state: EndpointState;
}

/** Histories of before go on as they were. */
const JOINED = 'joined-before-listed';

/** A server that did not take a table. */
interface Refusal {
  serverId: string;
  why: string;
}

/** Brings routes to the servers, and knows who has which. */
export class EndpointRoutes {
  constructor(private readonly holder: EndpointHolder) {}

  /** Whether a live server has not confirmed the table in force. */
  get behind(): boolean {
    const { acknowledged, table } = this.holder.state;
    return Object.values(acknowledged).some((generation) => generation < table.generation);
  }

  /**
   * Every live server takes the table, or all of them go back to the one of before.
   *
   * @param undo the table of before under the generation after, made when it is needed
   * @returns ids of the servers that have it
   * @throws ApplicationFailure `RolloutFailed`, `ServerUnavailable`
   */
  async applied(table: RouteTable, undo: () => RouteTable): Promise<string[]> {
    try {
      return await this.#apply(table);
    } catch (error) {
      await this.offer(undo(), (await listModelServers({})).servers);
      throw error;
    }
  }

  /** A server whose lease ended meanwhile does not count. */
  async #apply(table: RouteTable): Promise<string[]> {
    const refusals = await this.offer(table, await liveServers());
    if (refusals.length > 0) {
      const stillLive = new Set((await listModelServers({})).servers.map((server) => server.serverId));
      const failed = refusals.filter((refusal) => stillLive.has(refusal.serverId));
      if (failed.length > 0)
        throw ApplicationFailure.nonRetryable(
          failed.map(({ serverId, why }) => `server ${serverId}: ${why}`).join('; '),
          'RolloutFailed',
        );
    }
    const { state } = this.holder;
    const servers = Object.entries(state.acknowledged).filter(
      ([, generation]) => generation === state.table.generation,
    );
    if (servers.length === 0)
      throw ApplicationFailure.nonRetryable('every model server went away', 'ServerUnavailable');
    return servers.map(([serverId]) => serverId);
  }

  /**
   * Puts a table into force whoever takes it: what it takes away must not come back. Who did not take it is offered it
   * again until it does.
   *
   * @returns ids of the servers that have it
   */
  async enforced(table: RouteTable): Promise<string[]> {
    await this.offer(table, (await listModelServers({})).servers);
    const { acknowledged, table: inForce } = this.holder.state;
    return Object.keys(acknowledged).filter((serverId) => acknowledged[serverId] === inForce.generation);
  }

  /**
   * Offers the table in force to every live server; one that came back under its old name may have lost it.
   *
   * @param joined those that said so themselves: Temporal's list of what runs follows a moment later
   */
  async reconcile(joined: readonly ModelServerInfo[]): Promise<void> {
    if (this.holder.state.table.generation === 0) return;
    const { servers } = await listModelServers({});
    const unlisted = joined.filter(({ serverId }) => !servers.some((one) => one.serverId === serverId));
    const all = unlisted.length > 0 && patched(JOINED) ? [...servers, ...unlisted] : servers;
    await this.offer(this.holder.state.table, all);
  }

  /**
   * Offers a table to servers and writes down who took it; returns who did not, and why. A server may be ahead,
   * where the endpoint's workflow was terminated and started afresh: the table then goes out under a generation
   * above that server's.
   */
  async offer(table: RouteTable, servers: ModelServerInfo[]): Promise<Refusal[]> {
    const refusals = await this.#offerOnce(table, servers);
    const highest = Math.max(...Object.values(this.holder.state.acknowledged));
    return highest > table.generation ? this.offer({ ...table, generation: highest + 1 }, servers) : refusals;
  }

  async #offerOnce(table: RouteTable, servers: ModelServerInfo[]): Promise<Refusal[]> {
    const previous = this.holder.state.acknowledged;
    this.holder.state = {
      ...withTable(this.holder.state, table, {}),
      acknowledged: Object.fromEntries(servers.map(({ serverId }) => [serverId, previous[serverId] ?? -1])),
    };
    const answers = await Promise.allSettled(
      servers.map((server) => serverActivities(server.taskQueue).applyRoutes({ table })),
    );
    const refusals: Refusal[] = [];
    for (const [index, answer] of answers.entries()) {
      const serverId = servers[index]?.serverId ?? '';
      if (answer.status === 'fulfilled') this.holder.state.acknowledged[serverId] = answer.value.generation;
      else refusals.push({ serverId, why: words(answer.reason) });
    }
    return refusals;
  }
}
