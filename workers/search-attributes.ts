import proto from '@temporalio/proto';
import { type NativeConnection, Runtime } from '@temporalio/worker';
import { SEARCH_ATTRIBUTES } from '../contracts/names.ts';

const { INDEXED_VALUE_TYPE_KEYWORD, INDEXED_VALUE_TYPE_BOOL } = proto.temporal.api.enums.v1.IndexedValueType;
const TYPES = { KEYWORD: INDEXED_VALUE_TYPE_KEYWORD, BOOL: INDEXED_VALUE_TYPE_BOOL } as const;

type SearchAttribute = (typeof SEARCH_ATTRIBUTES)[keyof typeof SEARCH_ATTRIBUTES];

/** The search attributes of one namespace. */
export interface AttributeRegistry {
  /** Names of those that the namespace knows. */
  names(): Promise<string[]>;
  add(missing: readonly SearchAttribute[]): Promise<void>;
}

/**
 * Registers Perennial's search attributes where they are missing. A workflow that sets one that the namespace does
 * not know would never go on.
 *
 * @throws Error with the commands to run, where attributes are missing and the server does not let this client
 *   register them
 */
export async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<void> {
  const { operatorService } = connection;
  const registry: AttributeRegistry = {
    names: async () =>
      Object.keys((await operatorService.listSearchAttributes({ namespace })).customAttributes ?? {}),
    add: async (missing) => {
      await operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map(({ name, type }) => [name, TYPES[type]])),
      });
    },
  };
  await settleSearchAttributes(registry, namespace, (message) => Runtime.instance().logger.warn(message));
}

/**
 * {@link ensureSearchAttributes} on any registry. Managed clusters deny the operator service to workers: what
 * cannot be asked is taken to be there, with a warning.
 */
export async function settleSearchAttributes(
  registry: AttributeRegistry,
  namespace: string,
  warn: (message: string) => void,
): Promise<void> {
  const wanted = Object.values(SEARCH_ATTRIBUTES);
  const known = await registry.names().catch((error: unknown) => {
    warn(
      `the server does not say which search attributes the namespace ${namespace} has (${wordsOf(error)}); where they are missing, run:\n${commands(wanted, namespace)}`,
    );
    return undefined;
  });
  if (known === undefined) return;
  const missing = wanted.filter(({ name }) => !known.includes(name));
  if (missing.length === 0) return;
  try {
    await registry.add(missing);
  } catch (cause) {
    // Two workers that start together both try; the one that comes second finds them.
    const now = await registry.names().catch(() => known);
    const lacking = missing.filter(({ name }) => !now.includes(name));
    if (lacking.length === 0) return;
    throw new Error(
      `the namespace ${namespace} lacks search attributes (${wordsOf(cause)}); run:\n${commands(lacking, namespace)}`,
      { cause },
    );
  }
}

const commands = (attributes: readonly SearchAttribute[], namespace: string): string =>
  attributes
    .map(
      ({ name, type }) =>
        `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type ${type === 'BOOL' ? 'Bool' : 'Keyword'}`,
    )
    .join('\n');

const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
