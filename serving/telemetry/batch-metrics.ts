import { Distribution } from './distribution.ts';
import { counter, gauge, histogram, type MetricFamily, type MetricSource } from './metric-source.ts';

const ROW_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1_000, 10_000];
const REQUEST_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128];
const SECOND_BOUNDS = [0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5];

/** What waits for a model at this moment. */
interface Waiting {
  readonly requests: number;
  readonly rows: number;
}

/** The counts of one model. */
interface Batches {
  readonly labels: { endpoint: string; version: string };
  readonly waiting: () => Waiting;
  readonly rows: Distribution;
  readonly requests: Distribution;
  readonly seconds: Distribution;
  readonly shed: Map<string, number>;
}

/** Counts the runs of models: how many rows and requests share one, and what waits. */
export class BatchMetrics implements MetricSource {
  readonly #models = new Set<Batches>();

  /**
   * The listener of one model's batcher.
   *
   * @param waiting asked when the metrics are read
   * @returns `forget`: for when the model is freed
   */
  of(endpoint: string, version: string, waiting: () => Waiting) {
    const batches: Batches = {
      labels: { endpoint, version },
      waiting,
      rows: new Distribution(ROW_BOUNDS),
      requests: new Distribution(REQUEST_BOUNDS),
      seconds: new Distribution(SECOND_BOUNDS),
      shed: new Map(),
    };
    this.#models.add(batches);
    return {
      /** The model ran: rows of so many requests together. */
      ran: (rows: number, requests: number, seconds: number): void => {
        batches.rows.observe(rows);
        batches.requests.observe(requests);
        batches.seconds.observe(seconds);
      },
      /** A request was refused. @param reason one of few words */
      shed: (reason: string): void => {
        batches.shed.set(reason, (batches.shed.get(reason) ?? 0) + 1);
      },
      forget: (): void => {
        this.#models.delete(batches);
      },
    };
  }

  collect(): MetricFamily[] {
    const models = [...this.#models];
    const distributions = (
      which: 'rows' | 'requests' | 'seconds',
      name: string,
      help: string,
    ): MetricFamily =>
      histogram(
        name,
        help,
        models.flatMap((model) => model[which].samples(name, model.labels)),
      );
    return [
      distributions('rows', 'perennial_batch_rows', 'Rows of one run of a model.'),
      distributions('requests', 'perennial_batch_requests', 'Requests that shared one run of a model.'),
      distributions('seconds', 'perennial_batch_duration_seconds', 'Time of one run of a model.'),
      gauge(
        'perennial_queue_requests',
        'Requests that wait for a model.',
        models.map(({ labels, waiting }) => ({ labels, value: waiting().requests })),
      ),
      gauge(
        'perennial_queue_rows',
        'Rows that wait for a model.',
        models.map(({ labels, waiting }) => ({ labels, value: waiting().rows })),
      ),
      counter(
        'perennial_batch_shed_total',
        'Requests that were refused before a run, by reason.',
        models.flatMap(({ labels, shed }) =>
          [...shed].map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
        ),
      ),
    ];
  }
}
