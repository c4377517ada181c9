import type { OnlineReader } from '../../lib/feature-store/online-store.ts';
import type { ServingSettings } from './settings.ts';

/**
 * The online store of a serving process, opened once; the server closes it. Each process has a reader of its own.
 *
 * @returns `undefined` where none is set up: the policy of each feature view applies then
 */
export async function onlineFeatures(_settings: ServingSettings): Promise<OnlineReader | undefined> {
  return undefined;
}
