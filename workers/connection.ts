import { setTimeout as sleep } from 'node:timers/promises';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';

const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 5_000;

/** A connection of a worker and the namespace that its profile names. */
export interface WorkerConnection {
  connection: NativeConnection;
  namespace: string;
  address: string;
}

/**
 * Connects as the Temporal environment configuration says (profile, address, TLS, API key). The SDK does not repeat
 * a first connect, so this does, until `signal` aborts.
 *
 * @see https://docs.temporal.io/develop/environment-configuration
 */
export async function connect(
  signal: AbortSignal,
  onRetry: (address: string) => void,
): Promise<WorkerConnection> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const address = connectionOptions.address ?? 'localhost:7233';
  for (let wait = FIRST_RETRY_MS; ; wait = Math.min(wait * 2, LAST_RETRY_MS)) {
    try {
      return { connection: await NativeConnection.connect(connectionOptions), namespace, address };
    } catch (error) {
      if (signal.aborted) throw error;
      onRetry(address);
      await sleep(wait, undefined, { signal });
    }
  }
}
