import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { DataPlane } from '../data-plane.ts';
import type { Prediction, PredictionListener } from '../prediction.ts';

/** Seconds. One row takes well under a millisecond, ten thousand a second or so. */
const LATENCY_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/**
 * What the server counts, in the OpenMetrics names that `GET /metrics` shows. Labels hold only names that the
 * server itself knows, so that requests for made-up models cannot fill its memory.
 */
export class ServingMetrics implements PredictionListener {
  readonly registry = new Registry();
  readonly #requests: Counter<'endpoint' | 'version' | 'code'>;
  readonly #latency: Histogram<'endpoint' | 'version'>;
  readonly #rows: Counter<'endpoint' | 'version'>;

  constructor(private readonly dataPlane: DataPlane) {
    const registers = [this.registry];
    this.#requests = new Counter({
      name: 'perennial_requests_total',
      help: 'Prediction requests by endpoint, model version and HTTP status; refused ones may have no version.',
      labelNames: ['endpoint', 'version', 'code'],
      registers,
    });
    this.#latency = new Histogram({
      name: 'perennial_request_duration_seconds',
      help: 'Time from the parsed body to the written answer, of answered prediction requests.',
      labelNames: ['endpoint', 'version'],
      buckets: LATENCY_BUCKETS,
      registers,
    });
    this.#rows = new Counter({
      name: 'perennial_rows_total',
      help: 'Rows predicted by endpoint and model version.',
      labelNames: ['endpoint', 'version'],
      registers,
    });
    new Gauge({
      name: 'perennial_routes_generation',
      help: 'Generation of the routes in force.',
      labelNames: ['endpoint'],
      // Of several processes: the one that all of them have reached.
      aggregator: 'min',
      registers,
      collect() {
        this.reset();
        for (const [endpoint, generation] of dataPlane.generations()) this.set({ endpoint }, generation);
      },
    });
    collectDefaultMetrics({ register: this.registry });
  }

  /** Counts an answered request; `seconds` is how long it took. */
  answered({ call: { endpoint }, model, outputs }: Prediction, seconds: number): void {
    const { version } = model.served;
    this.#requests.inc({ endpoint, version, code: '200' });
    this.#latency.observe({ endpoint, version }, seconds);
    this.#rows.inc({ endpoint, version }, outputs.rows);
  }

  /** Counts a refused or failed request by what its path names. */
  refused(path: { endpoint?: string; version?: string }, status: number): void {
    const endpoints = this.dataPlane.endpoints();
    // A path without a name means the only endpoint there is.
    const { endpoint: name = endpoints.length === 1 ? (endpoints[0] ?? '') : '', version = '' } = path;
    const endpoint = endpoints.includes(name) ? name : '';
    const known = version !== '' && this.dataPlane.modelReady(name, version);
    this.#requests.inc({ endpoint, version: known ? version : '', code: String(status) });
  }
}
