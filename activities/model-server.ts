import { activityInfo, heartbeat, sleep } from '@temporalio/activity';
import { z } from 'zod';
import type { ModelServerActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { type SampleSet, sampleSet } from '../contracts/samples.ts';
import type { ModelInput, RouteAck, RouteTable, ServedModel } from '../contracts/serving.ts';
import type { PerennialConfig } from '../lib/config.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { framed } from './frame.ts';

/** The part of a model server that its activities need. */
export interface ServerUnderControl {
  readonly serverId: string;
  readonly url: string;
  /** Where it can be asked from this machine with {@link ModelServerDependencies.token}; default `url`. */
  readonly internalUrl?: string;
  applyRoutes(table: RouteTable): Promise<RouteAck>;
  loadCandidate(endpoint: string, model: ServedModel): Promise<void>;
  unloadCandidate(endpoint: string, version: string): Promise<void>;
}

/** What these activities work with. */
export interface ModelServerDependencies {
  config: PerennialConfig;
  server: ServerUnderControl;
  store: ArtifactStore;
  /** A bearer token with all roles, where the server asks for one. */
  token?: string | undefined;
}

const LEASE_HEARTBEAT_MS = 2_000;
/** Single-row requests that the latency is measured on. */
const LATENCY_REQUESTS = 100;
const WARM_UP_REQUESTS = 10;

const answer = z.object({
  outputs: z.array(
    z.object({ name: z.string(), data: z.array(z.union([z.number(), z.string(), z.null()])) }),
  ),
});

/** Activities that run in a model server's own process, on its own queue. */
export function modelServerActivities(deps: ModelServerDependencies): ModelServerActivities {
  return {
    holdLease: async () => {
      // `sleep` rejects when the server shuts down or the workflow is cancelled: the lease is given back.
      for (;;) {
        heartbeat(activityInfo().attempt);
        await sleep(LEASE_HEARTBEAT_MS);
      }
    },
    applyRoutes: framed(deps.config, ({ table }) => deps.server.applyRoutes(table)),
    precheck: framed(deps.config, (input, frame) => precheck(deps, input, frame.signal)),
  };
}

type PrecheckInput = Parameters<ModelServerActivities['precheck']>[0];

/** Loads the model into the real server, calls its API with rows of the test split, and compares answers and latency. */
async function precheck(
  deps: ModelServerDependencies,
  input: PrecheckInput,
  signal: AbortSignal,
): ReturnType<ModelServerActivities['precheck']> {
  const { endpoint, model, tolerance, maxLatencyMs } = input;
  const samples = sampleSet.parse(await deps.store.json(input.samples));
  const rows = samples.rows.slice(0, input.rows);
  await deps.server.loadCandidate(endpoint, model);
  try {
    const ask = (some: SampleSet['rows']) => infer(deps, endpoint, model, some, signal);
    const maxDifference = largestDifference(samples, rows.length, await ask(rows));
    if (!(maxDifference <= tolerance))
      throw new PerennialError(
        'PrecheckFailed',
        `version ${model.version} of ${endpoint} on server ${deps.server.serverId} answers otherwise than the evaluation: largest difference ${maxDifference}, allowed ${tolerance}`,
      );
    const latencies: number[] = [];
    for (let i = 0; i < WARM_UP_REQUESTS + LATENCY_REQUESTS; i++) {
      const started = performance.now();
      await ask(rows.slice(i % rows.length, (i % rows.length) + 1));
      if (i >= WARM_UP_REQUESTS) latencies.push(performance.now() - started);
    }
    const p95Ms = latencies.sort((a, b) => a - b)[Math.floor(latencies.length * 0.95)] ?? 0;
    if (p95Ms > maxLatencyMs)
      throw new PerennialError(
        'PrecheckFailed',
        `version ${model.version} of ${endpoint} on server ${deps.server.serverId} is too slow: 95th percentile ${p95Ms.toFixed(1)} ms, allowed ${maxLatencyMs} ms (deployment.precheck.maxLatency)`,
      );
    return { serverId: deps.server.serverId, rows: rows.length, maxDifference, p95Ms };
  } finally {
    await deps.server.unloadCandidate(endpoint, model.version);
  }
}

const DATATYPES: Record<ModelInput['kind'], string> = {
  numeric: 'FP32',
  boolean: 'FP32',
  datetime: 'FP64',
  categorical: 'BYTES',
  text: 'BYTES',
};

/** One request to the server's Open Inference Protocol endpoint, as a client would send it. */
async function infer(
  deps: ModelServerDependencies,
  endpoint: string,
  model: ServedModel,
  rows: SampleSet['rows'],
  signal: AbortSignal,
): Promise<z.infer<typeof answer>> {
  const inputs = model.signature.inputs.map(({ name, kind }) => ({
    name,
    shape: [rows.length],
    datatype: DATATYPES[kind],
    data: rows.map((row) => row[name] ?? null),
  }));
  const url = `${deps.server.internalUrl ?? deps.server.url}/v2/models/${encodeURIComponent(endpoint)}/versions/${encodeURIComponent(model.version)}/infer`;
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(deps.token ? { authorization: `Bearer ${deps.token}` } : {}),
    },
    body: JSON.stringify({ inputs }),
    signal,
  });
  const text = await response.text();
  if (!response.ok)
    throw new PerennialError(
      'PrecheckFailed',
      `server ${deps.server.serverId} answered ${response.status} to rows of the test split: ${text.slice(0, 500)}`,
    );
  return answer.parse(JSON.parse(text));
}

/** @param rows how many answers there must be */
function largestDifference(samples: SampleSet, rows: number, { outputs }: z.infer<typeof answer>): number {
  let largest = 0;
  for (const [name, expected] of Object.entries(samples.expected)) {
    const data = outputs.find((output) => output.name === name)?.data;
    if (data?.length !== rows) return Number.POSITIVE_INFINITY;
    for (const [row, value] of data.entries()) {
      // JSON has no NaN: an answer that is not a number comes as null, and nothing is further from a number.
      const difference =
        typeof value === 'number' ? Math.abs(value - (expected[row] ?? Number.NaN)) : Number.NaN;
      if (!(difference <= largest))
        largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    }
  }
  return largest;
}
