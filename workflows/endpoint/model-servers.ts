import { ApplicationFailure, sleep } from '@temporalio/workflow';
import { durationMs } from '../../contracts/durations.ts';
import type { ModelServerInfo } from '../../contracts/serving.ts';
import { listModelServers } from '../activities.ts';
import { SERVER_WAIT } from '../policies.ts';

/**
 * The live model servers; waits until there is one.
 *
 * @throws ApplicationFailure `ServerUnavailable` after {@link SERVER_WAIT}
 */
export async function liveServers(): Promise<ModelServerInfo[]> {
  const attempts = Math.ceil(durationMs(SERVER_WAIT.timeout) / durationMs(SERVER_WAIT.poll));
  for (let attempt = 0; attempt < attempts; attempt++) {
    const { servers } = await listModelServers({});
    if (servers.length > 0) return servers;
    await sleep(SERVER_WAIT.poll);
  }
  throw ApplicationFailure.nonRetryable(
    `no model server held a lease for ${SERVER_WAIT.timeout}; start one with \`perennial up\` or \`perennial serve\`, then \`perennial retry\``,
    'ServerUnavailable',
  );
}
