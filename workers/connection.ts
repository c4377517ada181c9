import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import { untilDone } from './retry.ts';

const BACKOFF = { firstMs: 200, lastMs: 5_000 };

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
 * @param onRetry is told why a try failed, once for each reason: a server that is still away looks different from a
 *   wrong key
 * @throws Error where the configuration cannot be read, for example a profile that does not exist
 * @see https://docs.temporal.io/develop/environment-configuration
 */
export async function connect(
  signal: AbortSignal,
  onRetry: (address: string, reason: string) => void,
): Promise<WorkerConnection> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const address = connectionOptions.address ?? 'localhost:7233';
  let told = '';
  const connection = await untilDone(
    () => NativeConnection.connect(connectionOptions),
    BACKOFF,
    signal,
    (error) => {
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== told) onRetry(address, reason);
      told = reason;
    },
  );
  return { connection, namespace, address };
}
