import type { MetricSample } from './metric-source.ts';

/**
 * Counts observations by size: what a histogram of Prometheus is made of. prom-client's own makes a key out of the
 * labels at every observation, which takes longer than a row of a model; here an observation is a loop over a few numbers.
 *
 * @example
 * const seconds = new Distribution([0.001, 0.01, 0.1]);
 * seconds.observe(0.004);
 * seconds.samples('perennial_request_duration_seconds', { endpoint: 'churn' });
 */
export class Distribution {
  /** One for each bound, and one for what is above the last. */
  readonly #counts: Float64Array;
  #sum = 0;

  /** @param bounds upper ends of the buckets, ascending; a value on a bound belongs below it */
  constructor(private readonly bounds: readonly number[]) {
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds } = this;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? 0)) at++;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  /** The buckets (each holds those below it), the sum and the count. */
  samples(name: string, labels: MetricSample['labels']): MetricSample[] {
    let below = 0;
    const buckets = [...this.#counts].map((count, at) => {
      below += count;
      return {
        metricName: `${name}_bucket`,
        labels: { ...labels, le: String(this.bounds[at] ?? '+Inf') },
        value: below,
      };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.#sum },
      { metricName: `${name}_count`, labels, value: below },
    ];
  }
}
