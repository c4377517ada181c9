import { randomUUID } from 'node:crypto';
import { type TrafficReport, trafficReport, type VersionTraffic } from '../../contracts/rollout-evidence.ts';
import type { RouteTable } from '../../contracts/serving.ts';
import { noTrafficOf, trafficSum } from '../evidence/traffic-sum.ts';

/** A serving process, as far as evidence goes. */
export interface WatchedMember {
  /** What it saw of an endpoint: a {@link TrafficReport}. */
  traffic(endpoint: string): Promise<unknown>;
}

/** What one process, or all that ended, saw of an endpoint. */
type Seen = Pick<TrafficReport, 'generation' | 'versions'>;

/**
 * What several processes saw, as that of one server. As with metrics, what a process had counted when it was last asked
 * stays in the sum after its end, so that no count ever goes back while the generation stays; what it counted after
 * that is lost. The epoch is that of this process, which outlives the others.
 */
export class EvidenceSum {
  readonly #epoch = randomUUID();
  readonly #last = new Map<WatchedMember, Map<string, Seen>>();
  readonly #gone = new Map<string, Seen>();
  readonly #ended = new WeakSet<WatchedMember>();

  constructor(private readonly serverId: string) {}

  /** Keeps what a process counted that ended. */
  ended(member: WatchedMember): void {
    this.#ended.add(member);
    for (const [endpoint, seen] of this.#last.get(member) ?? []) {
      const before = this.#gone.get(endpoint);
      if (!before || before.generation < seen.generation) this.#gone.set(endpoint, seen);
      else if (before.generation === seen.generation)
        this.#gone.set(endpoint, { ...seen, versions: trafficSum([before.versions, seen.versions]) });
    }
    this.#last.delete(member);
  }

  /**
   * The sum over all processes. One that does not answer counts as it last did.
   *
   * @param table in force
   */
  async collect(
    endpoint: string,
    table: RouteTable | undefined,
    members: readonly WatchedMember[],
  ): Promise<TrafficReport> {
    await Promise.all(
      members.map(async (member) => {
        const told = trafficReport.safeParse(await member.traffic(endpoint).catch(() => undefined));
        if (!told.success || this.#ended.has(member)) return;
        const known = this.#last.get(member) ?? new Map<string, Seen>();
        this.#last.set(member, known.set(endpoint, told.data));
      }),
    );
    const generation = table?.generation ?? 0;
    const parts: (readonly VersionTraffic[])[] = [];
    for (const seen of [this.#gone.get(endpoint), ...[...this.#last.values()].map((of) => of.get(endpoint))])
      if (seen?.generation === generation) parts.push(seen.versions);
    return {
      serverId: this.serverId,
      epoch: this.#epoch,
      generation,
      versions: trafficSum([table ? noTrafficOf(table) : [], ...parts]),
    };
  }
}
