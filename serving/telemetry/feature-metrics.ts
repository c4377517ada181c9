import { FEATURE_SOURCES } from '../../contracts/feature-store.ts';
import type { Sources } from '../features/row-sources.ts';
import { Distribution } from './distribution.ts';
import { counter, gauge, histogram, type MetricFamily, type MetricSource } from './metric-source.ts';

/** Seconds. An embedded store takes microseconds, one behind a network half a millisecond or so. */
const BOUNDS = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10,
];
/** Endpoints come and go; their views are kept in the order of their last use. */
const MOST_VIEWS = 1_000;

/** What is counted of one view of one endpoint. */
export class ViewSeries {
  readonly rows = new Float64Array(FEATURE_SOURCES.length);
  readonly seconds = new Distribution(BOUNDS);
  /** Seconds; `undefined` before the first look-up. */
  freshness: number | undefined;

  constructor(
    readonly endpoint: string,
    readonly view: string,
  ) {}

  /** Adds the rows of a request. */
  add(sources: Sources): void {
    for (const source of sources) this.rows[source] = (this.rows[source] ?? 0) + 1;
  }

  /** Adds a look-up that was answered. */
  lookedUp(seconds: number, freshness: number): void {
    this.seconds.observe(seconds);
    this.freshness = freshness;
  }
}

/** Counts where features came from. Labels are names that the server itself knows. */
export class FeatureMetrics implements MetricSource {
  readonly #series = new Map<string, ViewSeries>();

  /** @param served views by endpoint, as they are in force: they begin at 0, and others have no freshness */
  constructor(private readonly served: () => readonly { endpoint: string; view: string }[]) {}

  of(endpoint: string, view: string): ViewSeries {
    const key = `${endpoint}\0${view}`;
    const series = this.#series.get(key) ?? new ViewSeries(endpoint, view);
    this.#series.delete(key);
    this.#series.set(key, series);
    const [oldest] = this.#series.keys();
    if (this.#series.size > MOST_VIEWS && oldest !== undefined) this.#series.delete(oldest);
    return series;
  }

  collect(): MetricFamily[] {
    const inForce = new Set(this.served().map(({ endpoint, view }) => this.of(endpoint, view)));
    const all = [...this.#series.values()].map((series) => {
      const { endpoint, view } = series;
      return { series, labels: { endpoint, view } };
    });
    return [
      counter(
        'perennial_feature_rows_total',
        'Rows by where the features of a view came from: looked_up, given, without_key, default or refused.',
        all.flatMap(({ series, labels }) =>
          FEATURE_SOURCES.map((outcome, at) => ({
            labels: { ...labels, outcome },
            value: series.rows[at] ?? 0,
          })),
        ),
      ),
      histogram(
        'perennial_feature_lookup_seconds',
        'Time of the look-ups that the online store answered, each for all rows of a request.',
        all.flatMap(({ series, labels }) =>
          series.seconds.samples('perennial_feature_lookup_seconds', labels),
        ),
      ),
      gauge(
        'perennial_feature_freshness_seconds',
        'From the moment up to which the online store knew events to that of the request, at the last look-up.',
        all.flatMap(({ series, labels }) =>
          series.freshness === undefined || !inForce.has(series) ? [] : [{ labels, value: series.freshness }],
        ),
        'max',
      ),
    ];
  }
}
