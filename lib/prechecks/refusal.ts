import { PerennialError } from '../../contracts/errors.ts';
import type { CandidateClient, RawAnswer } from './candidate-client.ts';

/** A check that the candidate did not pass; `why` says what was found, what is allowed, and the remedy. */
export function refuses({ address }: CandidateClient, why: string): PerennialError {
  const { model, endpoint, serverId } = address;
  return new PerennialError(
    'PrecheckFailed',
    `version ${model.version} of ${endpoint} on server ${serverId}: ${why}`,
  );
}

/** The same of requests that it should have answered. */
export const refusedBy = (
  client: CandidateClient,
  what: string,
  { status, words }: RawAnswer,
  remedy: string,
): PerennialError => refuses(client, `it answered ${status} to ${what}; ${remedy}. The answer: ${words}`);
