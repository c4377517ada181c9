import type { CandidateClient } from './candidate-client.ts';
import { refuses } from './refusal.ts';

const MEGABYTE = 1e6;

/**
 * Looks at what the candidate's process had resident at its most.
 *
 * @param bytes `null` where that cannot be told; then there is nothing to check
 * @throws PerennialError `PrecheckFailed` where that is above the limit
 */
export function checkMemory(client: CandidateClient, bytes: number | null, maxMemoryBytes: number): void {
  if (bytes === null || bytes <= maxMemoryBytes) return;
  throw refuses(
    client,
    `its process had ${Math.ceil(bytes / MEGABYTE)} MB resident, allowed ${Math.floor(maxMemoryBytes / MEGABYTE)} MB (deployment.precheck.maxMemory). Allow more, or train a smaller model`,
  );
}
