import type { MonitorState } from '../../contracts/monitoring.ts';
import { SEVERITIES } from '../../contracts/spec/monitoring.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { Documents } from '../../lib/store/documents.ts';
import { gauge, type MetricFamily, type MetricSource } from './metric-source.ts';

/** How often it is looked for new windows. */
const REFRESH_MS = 30_000;

/** Shows what the monitor found in the latest window of each endpoint that this server serves. */
export class MonitorMetrics implements MetricSource {
  readonly #records: MonitorRecords;
  readonly #timer: NodeJS.Timeout;
  #states: readonly MonitorState[] = [];

  /**
   * @param endpoints those that are served now
   * @param failed told where the records cannot be read: what was read last is shown on
   */
  constructor(
    documents: Documents,
    private readonly endpoints: () => readonly string[],
    private readonly failed: (error: unknown) => void,
    refreshMs = REFRESH_MS,
  ) {
    this.#records = new MonitorRecords(documents);
    this.#timer = setInterval(() => void this.refresh(), refreshMs).unref();
    void this.refresh();
  }

  /** Looks now. */
  async refresh(): Promise<void> {
    try {
      const states: MonitorState[] = [];
      for (const endpoint of this.endpoints()) {
        const state = await this.#records.state(endpoint);
        if (state) states.push(state);
      }
      this.#states = states;
    } catch (error) {
      this.failed(error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  collect(): MetricFamily[] {
    const states = this.#states.filter(({ endpoint }) => this.endpoints().includes(endpoint));
    const latest = states.flatMap(({ endpoint, trend }) => {
      const window = trend.at(-1);
      return window ? [{ endpoint, ...window }] : [];
    });
    return [
      gauge(
        'perennial_monitor',
        'Measures of the latest window by name, such as quality.roc_auc; those of single columns stand in MLflow.',
        latest.flatMap(({ endpoint, measures }) =>
          Object.entries(measures).map(([measure, value]) => ({ labels: { endpoint, measure }, value })),
        ),
        'max',
      ),
      gauge(
        'perennial_monitor_window_end_seconds',
        'When the latest window ended that was looked at, in seconds since 1970.',
        latest.map(({ endpoint, window }) => ({
          labels: { endpoint },
          value: Date.parse(window.before) / 1_000,
        })),
        'max',
      ),
      gauge(
        'perennial_monitor_state',
        'Whether the latest window is so: 1, else 0.',
        latest.flatMap(({ endpoint, state }) =>
          (['ok', 'breached', 'insufficient'] as const).map((name) => ({
            labels: { endpoint, state: name },
            value: Number(state === name),
          })),
        ),
        'max',
      ),
      gauge(
        'perennial_monitor_alerts',
        'Alerts that are raised, by severity.',
        states.flatMap(({ endpoint, alerts }) =>
          SEVERITIES.map((severity) => ({
            labels: { endpoint, severity },
            value: alerts.open.filter((one) => one.raisedAt !== null && one.severity === severity).length,
          })),
        ),
        'max',
      ),
    ];
  }
}
