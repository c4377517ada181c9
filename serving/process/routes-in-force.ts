import type { Logger } from 'pino';
import { PerennialError } from '../../contracts/errors.ts';
import {
  type RouteAck,
  type RouteTable,
  type RouteTableInput,
  routeAck,
  type ServedModel,
  servedModel,
} from '../../contracts/serving.ts';
import { parsed, readTable, routeChange } from '../route-change.ts';
import { RoutesFile } from '../routes-file.ts';

/** A serving process, as far as routes go. */
export interface RouteMember {
  /** @throws PerennialError also where it ended before it answered */
  ask(kind: RouteQuestion, payload: unknown): Promise<unknown>;
  /** Ends it; it comes back with the routes in force. */
  replace(reason: string): void;
}

/** What serving processes are asked about routes. */
export type RouteQuestion = 'join' | 'prepare' | 'commit' | 'abort' | 'loadCandidate' | 'unloadCandidate';

/** What a process needs to catch up. */
export interface RoutesSnapshot {
  readonly tables: readonly RouteTable[];
  readonly candidates: readonly { readonly endpoint: string; readonly model: ServedModel }[];
}

/**
 * A model is loaded on the thread that answers: while some processes prepare a change, the others answer. In so many
 * groups, not one by one, so that a change does not take longer the more processes there are.
 */
const GROUPS = 4;

/**
 * The routes of several processes that answer as one server. A change is prepared in all of them (models loaded and
 * warm), group after group, written to the routes file, and then committed in all; where any of them cannot prepare it, or ends
 * meanwhile, all abort and the old routes stay. From the moment of the file on the new table is in force: a process
 * that ends before it commits comes back with it.
 */
export class RoutesInForce {
  readonly #members = new Set<RouteMember>();
  readonly #tables = new Map<string, RouteTable>();
  readonly #candidates = new Map<string, Map<string, ServedModel>>();
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly serverId: string,
    private readonly file: RoutesFile,
  ) {}

  /** The routes of the last run; none where the file is new, or cannot be read (which is logged). */
  static async open(serverId: string, path: string, logger: Logger): Promise<RoutesInForce> {
    const routes = new RoutesInForce(serverId, new RoutesFile(path));
    const { tables, problem } = await routes.file.read();
    if (problem) logger.error(problem);
    for (const table of tables) routes.#tables.set(table.endpoint, table);
    return routes;
  }

  tables(): RouteTable[] {
    return [...this.#tables.values()];
  }

  /** All that is in force now. */
  snapshot(): RoutesSnapshot {
    return {
      tables: this.tables(),
      candidates: [...this.#candidates].flatMap(([endpoint, models]) =>
        [...models.values()].map((model) => ({ endpoint, model })),
      ),
    };
  }

  /**
   * Lets a process take part: it catches up with what changed since it began to load, then accepts requests. No
   * change happens meanwhile.
   *
   * @returns what it says
   */
  join(member: RouteMember): Promise<unknown> {
    return this.#oneAtATime(async () => {
      const answer = await member.ask('join', this.snapshot());
      this.#members.add(member);
      return answer;
    });
  }

  /** A process that ended. */
  leave(member: RouteMember): void {
    this.#members.delete(member);
  }

  /**
   * Puts a table into force in all processes; see `ModelHost.applyRoutes`.
   *
   * @throws PerennialError `ServerUnavailable` where no process takes part at the moment, or one ended meanwhile
   */
  apply(input: RouteTableInput): Promise<RouteAck> {
    return this.#oneAtATime(async () => {
      const table = readTable(input);
      const { endpoint } = table;
      const change = routeChange(this.#tables.get(endpoint), table);
      const members = this.#present();
      await this.#allOrNone(members, 'prepare', table, 'abort', { endpoint });
      if (change === 'new') {
        const others = this.tables().filter((other) => other.endpoint !== endpoint);
        try {
          await this.file.write([...others, table]);
        } catch (error) {
          await Promise.allSettled(members.map((member) => member.ask('abort', { endpoint })));
          throw error;
        }
        this.#tables.set(endpoint, table);
      }
      const acks = await Promise.allSettled(members.map((member) => member.ask('commit', { endpoint })));
      const done: RouteAck[] = [];
      for (const [index, ack] of acks.entries())
        if (ack.status === 'fulfilled') done.push(routeAck.parse(ack.value));
        else members[index]?.replace('it did not commit the routes');
      // Where every one of them ended, they come back with the table that is written.
      const inForce = this.#tables.get(endpoint) ?? table;
      return (
        done.sort((a, b) => a.versions.length - b.versions.length)[0] ?? {
          serverId: this.serverId,
          endpoint,
          generation: inForce.generation,
          versions: inForce.routes.map(({ model }) => model.version),
        }
      );
    });
  }

  /** Loads a version without a route in all processes: any of them may be asked for it. */
  loadCandidate(endpoint: string, model: ServedModel): Promise<void> {
    return this.#oneAtATime(async () => {
      const served = parsed(servedModel.safeParse(model), `the candidate of "${endpoint}"`);
      const { version } = served;
      const undo = { endpoint, version };
      const members = this.#present();
      await this.#allOrNone(members, 'loadCandidate', { endpoint, model: served }, 'unloadCandidate', undo);
      const models = this.#candidates.get(endpoint) ?? new Map<string, ServedModel>();
      this.#candidates.set(endpoint, models.set(version, served));
    });
  }

  /** Frees a candidate in all processes. */
  unloadCandidate(endpoint: string, version: string): Promise<void> {
    return this.#oneAtATime(async () => {
      this.#candidates.get(endpoint)?.delete(version);
      await Promise.allSettled(
        [...this.#members].map((member) => member.ask('unloadCandidate', { endpoint, version })),
      );
    });
  }

  #present(): RouteMember[] {
    if (this.#members.size > 0) return [...this.#members];
    throw new PerennialError(
      'ServerUnavailable',
      `no serving process of server ${this.serverId} is up at the moment; it is restarted, try again`,
      true,
    );
  }

  async #allOrNone(
    members: readonly RouteMember[],
    kind: RouteQuestion,
    payload: unknown,
    undo: RouteQuestion,
    undoPayload: unknown,
  ): Promise<void> {
    // Candidates are loaded elsewhere, which stops nobody.
    const size = kind === 'prepare' ? Math.ceil(members.length / GROUPS) : members.length;
    for (let start = 0; start < members.length; start += size) {
      const group = members.slice(start, start + size);
      const results = await Promise.allSettled(group.map((member) => member.ask(kind, payload)));
      const failed = results.find((result) => result.status === 'rejected');
      if (!failed) continue;
      const asked = members.slice(0, start + size);
      await Promise.allSettled(asked.map((member) => member.ask(undo, undoPayload)));
      throw failed.reason;
    }
  }

  #oneAtATime<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}
