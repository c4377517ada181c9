/** What a server counted of an endpoint since it started. */
export interface EndpointCounters {
  [name: string]: number;
  /** Requests in all, those that failed (5xx), and those that were refused (4xx). */
  requests: number;
  failed: number;
  refused: number;
  invalidInputs: number;
  invalidOutputs: number;
}

/** A sample of the text format of Prometheus: `name{label="value",…} number`. */
const SAMPLE = /^(perennial_\w+)\{(.*)\} ([0-9.eE+-]+)$/;
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
  };
  for (const line of page.split('\n')) {
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

/**
 * What was counted between two readings, all servers together; a server of which any counter fell has
 * started afresh, and has counted from 0.
 *
 * @returns `null` where no server was read
 */
export function countedSince(
  earlier: Readonly<Record<string, Readonly<Record<string, number>>>>,
  now: Readonly<Record<string, Readonly<Record<string, number>>>> | null,
): EndpointCounters | null {
  if (now === null || Object.keys(now).length === 0) return null;
  const sum: EndpointCounters = { requests: 0, failed: 0, refused: 0, invalidInputs: 0, invalidOutputs: 0 };
  for (const [server, counters] of Object.entries(now)) {
    const before = earlier[server] ?? {};
    const isAfresh = Object.keys(sum).some((name) => (counters[name] ?? 0) < (before[name] ?? 0));
    for (const name of Object.keys(sum))
      sum[name] = (sum[name] ?? 0) + (counters[name] ?? 0) - (isAfresh ? 0 : (before[name] ?? 0));
  }
  return sum;
}
