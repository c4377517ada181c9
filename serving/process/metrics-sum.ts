import { AggregatorRegistry } from 'prom-client';
import { counter, gauge, type MetricFamily, metricFamily } from '../telemetry/metric-source.ts';

const families = metricFamily.array();

/** A serving process, as far as counting goes. */
export interface CountingMember {
  /** What it counts: its {@link MetricFamily}s. */
  counted(): Promise<unknown>;
}

/**
 * The metrics of several processes as those of one server: each is aggregated as it says of itself. What a process
 * counted before it ended stays in the sums, as far as it was ever shown: a counter that fell would look like one that
 * began anew, and its whole value like new requests.
 */
export class MetricsSum {
  readonly #last = new Map<CountingMember, MetricFamily[]>();
  readonly #ends = { crash: 0, hang: 0 };
  #gone: MetricFamily[] = [];

  /** @param processes how many serve now */
  constructor(private readonly processes: () => number) {}

  /** Counts a process that ended, and keeps what it counted. */
  async ended(member: CountingMember, reason: 'crash' | 'hang' | 'asked'): Promise<void> {
    if (reason !== 'asked') this.#ends[reason] += 1;
    const last = this.#last.get(member);
    this.#last.delete(member);
    if (!last) return;
    const lasting = last.filter(
      ({ type, aggregator }) => aggregator === 'sum' && (type === 'counter' || type === 'histogram'),
    );
    this.#gone = families.parse(await AggregatorRegistry.aggregate([this.#gone, lasting]).getMetricsAsJSON());
  }

  /** The metrics of all of them, process by process. One that does not answer is counted as it last did. */
  async collect(members: readonly CountingMember[]): Promise<MetricFamily[][]> {
    await Promise.all(
      members.map(async (member) => {
        const counted = families.safeParse(await member.counted().catch(() => undefined));
        if (counted.success) this.#last.set(member, counted.data);
      }),
    );
    return [this.#gone, ...this.#last.values(), this.#own()];
  }

  #own(): MetricFamily[] {
    return [
      counter(
        'perennial_server_process_ends_total',
        'Serving processes that ended without being asked to, and were started again, by reason: crash, hang.',
        Object.entries(this.#ends).map(([reason, value]) => ({ labels: { reason }, value })),
      ),
      gauge('perennial_server_processes', 'Serving processes that accept requests.', [
        { labels: {}, value: this.processes() },
      ]),
    ];
  }
}
