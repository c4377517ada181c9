import { AggregatorRegistry, Counter, Gauge, Registry } from 'prom-client';
import { z } from 'zod';

const metrics = z.array(z.looseObject({ name: z.string(), type: z.string() }));
type Metrics = z.infer<typeof metrics>;

/** A serving process, as far as counting goes. */
export interface CountingMember {
  /** What it counts, as `Registry.getMetricsAsJSON` gives it. */
  counted(): Promise<unknown>;
}

/**
 * The metrics of several processes as those of one server: each is aggregated as it says of itself, by default
 * summed up. What a process counted before it ended stays in the sums, as far as it was ever shown: a counter that
 * fell would look like one that began anew, and its whole value like new requests.
 */
export class MetricsSum {
  readonly #own = new Registry();
  readonly #last = new Map<CountingMember, Metrics>();
  readonly #ends: Counter<'reason'>;
  #gone: Metrics = [];

  /** @param processes how many serve now */
  constructor(processes: () => number) {
    const registers = [this.#own];
    this.#ends = new Counter({
      name: 'perennial_server_process_ends_total',
      help: 'Serving processes that ended without being asked to, and were started again, by reason: crash, hang.',
      labelNames: ['reason'],
      registers,
    });
    for (const reason of ['crash', 'hang'] as const) this.#ends.inc({ reason }, 0);
    new Gauge({
      name: 'perennial_server_processes',
      help: 'Serving processes that accept requests.',
      registers,
      collect() {
        this.set(processes());
      },
    });
  }

  /** Counts a process that ended, and keeps what it counted. */
  async ended(member: CountingMember, reason: 'crash' | 'hang' | 'asked'): Promise<void> {
    if (reason !== 'asked') this.#ends.inc({ reason });
    const last = this.#last.get(member);
    this.#last.delete(member);
    if (!last) return;
    const lasting = last.filter(({ type }) => type === 'counter' || type === 'histogram');
    this.#gone = metrics.parse(await AggregatorRegistry.aggregate([this.#gone, lasting]).getMetricsAsJSON());
  }

  /** The text of all of them together. One that does not answer is counted as it last did. */
  async text(members: readonly CountingMember[]): Promise<string> {
    await Promise.all(
      members.map(async (member) => {
        const counted = metrics.safeParse(await member.counted().catch(() => undefined));
        if (counted.success) this.#last.set(member, counted.data);
      }),
    );
    const parts = [this.#gone, ...this.#last.values(), await this.#own.getMetricsAsJSON()];
    return AggregatorRegistry.aggregate(parts.filter((part) => part.length > 0)).metrics();
  }
}
