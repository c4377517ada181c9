import type { Explainers } from '../explaining/explainers.ts';
import { Distribution } from './distribution.ts';
import { counter, gauge, histogram, type MetricFamily, type MetricSource } from './metric-source.ts';

/** Seconds. Exact ones take milliseconds, sampled ones and the start of a process seconds. */
const BOUNDS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const MOST_VERSIONS = 100;

/** Counts explanations. */
export class ExplanationMetrics implements MetricSource {
  readonly #versions = new Map<string, { labels: Labels; rows: number; seconds: Distribution }>();

  constructor(private readonly explainers: Explainers) {}

  /** Adds an answered request. */
  explained(endpoint: string, version: string, rows: number, seconds: number): void {
    const key = `${endpoint}\0${version}`;
    const labels = { endpoint, version };
    const known = this.#versions.get(key) ?? { labels, rows: 0, seconds: new Distribution(BOUNDS) };
    known.rows += rows;
    known.seconds.observe(seconds);
    // The least recently explained is forgotten first.
    this.#versions.delete(key);
    this.#versions.set(key, known);
    const [oldest] = this.#versions.keys();
    if (this.#versions.size > MOST_VERSIONS && oldest !== undefined) this.#versions.delete(oldest);
  }

  collect(): MetricFamily[] {
    const versions = [...this.#versions.values()];
    return [
      counter(
        'perennial_explained_rows_total',
        'Rows that were explained.',
        versions.map(({ labels, rows }) => ({ labels, value: rows })),
      ),
      histogram(
        'perennial_explanation_duration_seconds',
        'Time of answered explanation requests, waiting for the explaining process included.',
        versions.flatMap(({ labels, seconds }) =>
          seconds.samples('perennial_explanation_duration_seconds', labels),
        ),
      ),
      gauge('perennial_explanations_waiting', 'Explanation requests under way or waiting.', [
        { labels: {}, value: this.explainers.waiting },
      ]),
    ];
  }
}

type Labels = { endpoint: string; version: string };
