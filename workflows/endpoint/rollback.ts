import type { EndpointState } from '../../contracts/endpoint.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { registeredVersion } from '../activities.ts';
import { words } from '../failure-words.ts';

/** Outcomes of versions that a rollback may go to. */
const WAS_IN_PRODUCTION: ReadonlySet<string> = new Set(['deployed', 'rolled_back']);

/**
 * The version that a rollback goes to: the one before the champion, or `to` where that was in production once.
 *
 * @returns the version, or why there is none
 */
export async function rollbackTarget(
  { current, served, slot, table: { endpoint } }: EndpointState,
  to: string | undefined,
): Promise<ServedModel | string> {
  if (to === undefined) return served[0] ?? 'there is no version before the current one; name one by --to';
  if (to === current?.version) return `version ${to} serves already`;
  if (to === slot?.model.version)
    return `version ${to} is being rolled out; promote it: perennial promote ${endpoint}`;
  const known = served.find(({ version }) => version === to);
  if (known) return known;
  try {
    const { model, outcome } = await registeredVersion({ modelName: endpoint, version: to });
    if (!model) return `${endpoint} has no version ${to} that can be served`;
    return outcome !== null && WAS_IN_PRODUCTION.has(outcome)
      ? model
      : `version ${to} was never in production (${outcome ?? 'nothing is known of it'}); it has to be rolled out`;
  } catch (error) {
    return `version ${to} cannot be looked up: ${words(error)}`;
  }
}
