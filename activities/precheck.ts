import type { PrecheckQuestion } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import type { ServerCheck } from '../contracts/prechecks.ts';
import { sampleSet } from '../contracts/samples.ts';
import { CandidateClient } from '../lib/prechecks/candidate-client.ts';
import { checkHostileInputs } from '../lib/prechecks/hostile.ts';
import { checkLatency } from '../lib/prechecks/latency.ts';
import { checkMemory } from '../lib/prechecks/memory.ts';
import { checkOwnRequests } from '../lib/prechecks/own-requests.ts';
import { checkTestRows } from '../lib/prechecks/test-rows.ts';
import type { ModelServerDependencies } from './model-server-dependencies.ts';

/**
 * Loads the model into the real server and asks it over HTTP, as clients will: for rows of the test split, for the
 * spec's own rows, with hostile inputs, and one row at a time. The memory is looked at last, so that it holds all of
 * that. The candidate is unloaded whatever comes of it.
 *
 * @throws PerennialError `PrecheckFailed` for the first check that the version does not pass
 */
export async function precheck(
  { server, store, token }: Pick<ModelServerDependencies, 'server' | 'store' | 'token'>,
  question: PrecheckQuestion,
  signal: AbortSignal,
): Promise<ServerCheck> {
  const { endpoint, model, rows, tolerance, requests, hostile } = question;
  const samples = sampleSet.parse(await store.json(question.samples));
  const [row] = samples.rows;
  if (row === undefined)
    throw new PerennialError(
      'PrecheckFailed',
      `the evaluation of ${endpoint} has no rows on record; run it again`,
    );
  const { serverId, url, internalUrl = url } = server;
  const client = new CandidateClient({ serverId, url: internalUrl, token, endpoint, model }, signal);
  await server.loadCandidate(endpoint, model);
  try {
    const found = await checkTestRows(client, samples, { rows, tolerance });
    const own = await checkOwnRequests(client, requests, tolerance);
    const survived = hostile ? await checkHostileInputs(client, row) : 0;
    const p95Ms = await checkLatency(client, samples.rows.slice(0, rows), question.maxLatencyMs);
    const memoryBytes = await server.candidateMemory(endpoint, model.version);
    checkMemory(client, memoryBytes, question.maxMemoryBytes);
    return { serverId, ...found, p95Ms, memoryBytes, requests: own, hostile: survived };
  } finally {
    await server.unloadCandidate(endpoint, model.version);
  }
}
