import { counter, gauge, type MetricFamily, type MetricSource } from './metric-source.ts';

/** What the prediction log counts since the start of the process. */
interface LogCounts {
  readonly recorded: number;
  readonly rows: number;
  readonly truths: number;
  readonly dropped: Readonly<Record<string, number>>;
  readonly withoutEntity: number;
  readonly bytes: number;
  readonly bufferedBytes: number;
  readonly unsyncedSeconds: number;
  readonly spoolBytes: number;
  readonly unreadable: number;
  readonly healthy: boolean;
}

/**
 * Shows what the prediction log counts.
 *
 * @example metrics.add(new LogMetrics(() => log.stats()))
 */
export class LogMetrics implements MetricSource {
  constructor(private readonly stats: () => LogCounts) {}

  collect(): MetricFamily[] {
    const stats = this.stats();
    const one = (value: number) => [{ labels: {}, value }];
    return [
      counter(
        'perennial_log_recorded_total',
        'Requests on record, shadow copies included.',
        one(stats.recorded),
      ),
      counter('perennial_log_rows_total', 'Rows on record.', one(stats.rows)),
      counter('perennial_log_truths_total', 'Truths that were told.', one(stats.truths)),
      counter(
        'perennial_log_dropped_total',
        'Requests and truths that should be on record and are not, by reason.',
        Object.entries(stats.dropped).map(([reason, value]) => ({ labels: { reason }, value })),
      ),
      counter(
        'perennial_log_without_entity_total',
        'Requests on record whose entity could not be made a pseudonym.',
        one(stats.withoutEntity),
      ),
      counter('perennial_log_written_bytes_total', 'Bytes written to segments.', one(stats.bytes)),
      gauge('perennial_log_buffered_bytes', 'Bytes in memory, not written yet.', one(stats.bufferedBytes)),
      gauge(
        'perennial_log_unsynced_seconds',
        'Age of the oldest record that a power cut would lose.',
        one(stats.unsyncedSeconds),
        'max',
      ),
      gauge(
        'perennial_log_spool_bytes',
        'Bytes of segments that are not archived yet.',
        one(stats.spoolBytes),
        'max',
      ),
      gauge(
        'perennial_log_unreadable_segments',
        'Segments that cannot be read and were set aside.',
        one(stats.unreadable),
        'max',
      ),
      gauge('perennial_log_healthy', 'Whether records reach the disk.', one(Number(stats.healthy)), 'min'),
    ];
  }
}
