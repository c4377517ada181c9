/** What a server counted of an endpoint since it started. */
export interface EndpointCounters {
  [name: string]: number;
  /** Requests in all, those that failed (5xx), and those that were refused (4xx). */
  requests: number;
  failed: number;
  refused: number;
  invalidInputs: number;
  invalidOutputs: number;
  /** When the server's process started, in seconds since 1970; 0 where its page does not say. */
  startedAt: number;
}

/** A sample of the text format of Prometheus: `name{label="value",…} number`. */
const SAMPLE = /^(perennial_\w+)\{(.*)\} ([0-9.eE+-]+)$/;
/** The latest of a server's processes. */
const STARTED = /^process_start_time_seconds(?:\{.*\})? ([0-9.eE+]+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/**
 * Reads what a page of metrics (Prometheus text format 0.0.4) says of one endpoint; all versions together.
 *
 * @example countersOf(await (await fetch(`${url}/metrics`)).text(), 'churn').failed // 3
 */
export function countersOf(page: string, endpoint: string): EndpointCounters {
  const counters: EndpointCounters = {
    requests: 0,
    failed: 0,
    refused: 0,
    invalidInputs: 0,
    invalidOutputs: 0,
    startedAt: 0,
  };
  for (const line of page.split('\n')) {
    const started = STARTED.exec(line)?.[1];
    if (started !== undefined) counters.startedAt = Math.max(counters.startedAt, Number(started));
    const [, name, labelText = '', valueText] = SAMPLE.exec(line) ?? [];
    if (name === undefined) continue;
    const labels = new Map(
      [...labelText.matchAll(LABEL)].map(([, key = '', value = '']) => [
        key,
        value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char)),
      ]),
    );
    if (labels.get('endpoint') !== endpoint) continue;
    const value = Number(valueText);
    switch (name) {
      case 'perennial_requests_total':
        counters.requests += value;
        if (labels.get('code')?.startsWith('5')) counters.failed += value;
        if (labels.get('code')?.startsWith('4')) counters.refused += value;
        break;
      case 'perennial_invalid_inputs_total':
        counters.invalidInputs += value;
        break;
      case 'perennial_invalid_outputs_total':
        counters.invalidOutputs += value;
        break;
    }
  }
  return counters;
}

const COUNTS = ['requests', 'failed', 'refused', 'invalidInputs', 'invalidOutputs'] as const;

/**
 * What was counted since the last reading, all servers together. A server that started afresh has counted from 0. One
 * that was never read counts where it started within the window: what it counted before belongs to nobody knows when.
 *
 * @param from beginning of the window, ISO 8601
 * @returns `null` where nothing is known
 */
export function countedSince(
  earlier: Readonly<Record<string, Readonly<Record<string, number>>>>,
  now: Readonly<Record<string, Readonly<Record<string, number>>>> | null,
  from: string,
): EndpointCounters | null {
  const known = Object.entries(now ?? {}).filter(
    ([server, { startedAt = 0 }]) => earlier[server] !== undefined || startedAt * 1_000 >= Date.parse(from),
  );
  if (known.length === 0) return null;
  const sum: EndpointCounters = {
    requests: 0,
    failed: 0,
    refused: 0,
    invalidInputs: 0,
    invalidOutputs: 0,
    startedAt: 0,
  };
  for (const [server, counters] of known) {
    const before = earlier[server];
    // One that started afresh has counted from 0: some counter fell.
    const since =
      before && COUNTS.every((name) => (counters[name] ?? 0) >= (before[name] ?? 0)) ? before : {};
    for (const name of COUNTS) sum[name] += (counters[name] ?? 0) - (since[name] ?? 0);
  }
  return sum;
}
