import type { SampleSet } from '../../contracts/samples.ts';
import type { CandidateClient } from './candidate-client.ts';
import { refusedBy, refuses } from './refusal.ts';
import { jsonRequest } from './tensor-body.ts';

/** Requests that the latency is measured on, and those before, which are not. */
const LATENCY_REQUESTS = 100;
const WARM_UP_REQUESTS = 10;

/**
 * Asks for single rows, one after the other, in JSON.
 *
 * @returns the 95th percentile of what the answers took, in milliseconds
 * @throws PerennialError `PrecheckFailed` where that is above the limit
 */
export async function checkLatency(
  client: CandidateClient,
  rows: SampleSet['rows'],
  maxLatencyMs: number,
): Promise<number> {
  const latencies: number[] = [];
  for (let i = 0; i < WARM_UP_REQUESTS + LATENCY_REQUESTS; i++) {
    const from = i % rows.length;
    const request = jsonRequest(client.address.model.signature, rows.slice(from, from + 1));
    const started = performance.now();
    const answer = await client.send(request);
    const took = performance.now() - started;
    if (!answer.outputs)
      throw refusedBy(client, 'a single row of the test split', answer, 'look into the server’s log');
    if (i >= WARM_UP_REQUESTS) latencies.push(took);
  }
  const p95Ms = latencies.sort((a, b) => a - b)[Math.floor(latencies.length * 0.95)] ?? 0;
  if (p95Ms > maxLatencyMs)
    throw refuses(
      client,
      `it is too slow: the 95th percentile of ${LATENCY_REQUESTS} single rows is ${p95Ms.toFixed(1)} ms, allowed ${maxLatencyMs} ms (deployment.precheck.maxLatency). Allow more, or train a smaller model`,
    );
  return p95Ms;
}
