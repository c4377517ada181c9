import type { OperationsReport } from '../../contracts/monitoring.ts';
import type { Database } from '../duckdb/database.ts';
import type { EndpointCounters } from './server-counters.ts';

/** What is known of a window beside the log. */
export interface OperationsSetting {
  from: string;
  before: string;
  /** What servers counted meanwhile; `null` where none was asked. */
  counted: EndpointCounters | null;
  uptime: number | null;
  /** Of one hour of one server. */
  pricePerHour: number;
}

/**
 * How an endpoint ran: requests, latency and invalid answers from the view `predictions` of its log, failures from what
 * servers counted. The cost is that of the time in which requests were under way, at the price of a server.
 */
export async function operationsOf(
  database: Database,
  { from, before, counted, uptime, pricePerHour }: OperationsSetting,
): Promise<OperationsReport> {
  const outputs = (await database.columns('predictions'))
    .map(({ name }) => name)
    .filter((name) => name.startsWith('output_'));
  const invalid = outputs.length === 0 ? 'false' : outputs.map((name) => `"${name}" IS NULL`).join(' OR ');
  const found = await database.row(`
    WITH requests AS (
      SELECT count(*) AS n, max(latency_ms) AS latency, max(CASE WHEN instead_of IS NULL THEN 0 ELSE 1 END) AS stood_in,
        count(*) FILTER (${invalid}) AS invalid
      FROM predictions WHERE role <> 'shadow' GROUP BY request_id, time
    )
    SELECT count(*) AS requests, coalesce(sum(n), 0)::DOUBLE AS rows, coalesce(sum(stood_in), 0)::DOUBLE AS fallbacks,
      coalesce(sum(invalid), 0)::DOUBLE AS invalid, coalesce(sum(latency), 0)::DOUBLE AS busy,
      quantile_cont(latency, 0.5)::DOUBLE AS p50, quantile_cont(latency, 0.95)::DOUBLE AS p95,
      quantile_cont(latency, 0.99)::DOUBLE AS p99
    FROM requests`);
  const value = (name: string): number => Number(found[name] ?? 0);
  const seconds = (Date.parse(before) - Date.parse(from)) / 1_000;
  return {
    requests: value('requests'),
    rows: value('rows'),
    rowsPerSecond: seconds > 0 ? value('rows') / seconds : 0,
    latencyMs:
      found.p50 === null || found.p50 === undefined
        ? null
        : { p50: value('p50'), p95: value('p95'), p99: value('p99') },
    fallbacks: value('fallbacks'),
    invalidOutputs: counted?.invalidOutputs ?? value('invalid'),
    counted: counted?.requests ?? null,
    failed: counted?.failed ?? null,
    refused: counted?.refused ?? null,
    uptime,
    cost: pricePerHour === 0 ? null : (value('busy') / 3_600_000) * pricePerHour,
  };
}

/**
 * The share of a time that is covered by at least one of some intervals, all in epoch milliseconds.
 *
 * @example coveredShare({ from: 0, before: 10 }, [{ from: -5, before: 3 }, { from: 2, before: 6 }]) // 0.6
 */
export function coveredShare(
  window: { from: number; before: number },
  intervals: readonly { from: number; before: number }[],
): number {
  let covered = 0;
  let through = window.from;
  for (const { from, before } of [...intervals].sort((a, b) => a.from - b.from)) {
    const begin = Math.max(from, through);
    const end = Math.min(before, window.before);
    if (end <= begin) continue;
    covered += end - begin;
    through = end;
  }
  const length = window.before - window.from;
  return length > 0 ? covered / length : 0;
}
