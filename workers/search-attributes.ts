import proto from '@temporalio/proto';
import type { NativeConnection } from '@temporalio/worker';
import { SEARCH_ATTRIBUTES } from '../contracts/names.ts';

const { INDEXED_VALUE_TYPE_KEYWORD, INDEXED_VALUE_TYPE_BOOL } = proto.temporal.api.enums.v1.IndexedValueType;
const TYPES = { KEYWORD: INDEXED_VALUE_TYPE_KEYWORD, BOOL: INDEXED_VALUE_TYPE_BOOL } as const;

/**
 * Registers Perennial's search attributes where they are missing. A workflow that sets one that the namespace does
 * not know would never go on.
 *
 * @throws Error with the command to run, where the server does not let this client register them
 */
export async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<void> {
  const wanted = Object.values(SEARCH_ATTRIBUTES);
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing = wanted.filter(({ name }) => !(name in (customAttributes ?? {})));
  if (missing.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, TYPES[type]])),
    });
  } catch (cause) {
    // Two workers that start together both try; the one that comes second finds them.
    const now = await connection.operatorService.listSearchAttributes({ namespace });
    if (missing.every(({ name }) => name in (now.customAttributes ?? {}))) return;
    const command = missing.map(
      ({ name, type }) =>
        `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${type === 'BOOL' ? 'Bool' : 'Keyword'}`,
    );
    throw new Error(`the namespace ${namespace} lacks search attributes; run:\n${command.join('\n')}`, {
      cause,
    });
  }
}
