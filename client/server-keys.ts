import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { PerennialError } from '../contracts/errors.ts';
import { type ServerKey, serverKey, serverKeysFile } from '../contracts/server-keys.ts';
import { writePrivateFile } from './platform/files.ts';
import { ProcessLock } from './platform/lock.ts';

/** What a new key is to be. */
export type NewServerKey = Pick<ServerKey, 'id' | 'roles' | 'endpoints' | 'rate' | 'expires'>;

/**
 * Makes an API key of the model server, and adds it to its file (mode 0600). A running server takes it up within
 * seconds.
 *
 * @returns the token, which is kept nowhere
 * @throws PerennialError `InputInvalid` where the id is taken, or the file is not one of keys
 * @example addServerKey('.perennial/server-keys.json', { id: 'shop', roles: ['predict'] })
 */
export function addServerKey(path: string, wanted: NewServerKey): { key: ServerKey; token: string } {
  const token = `pnl_${randomBytes(32).toString('base64url')}`;
  const made = serverKey.safeParse({
    ...wanted,
    sha256: createHash('sha256').update(token).digest('hex'),
    created: new Date().toISOString(),
  });
  if (!made.success) {
    const [issue] = made.error.issues;
    throw new PerennialError(
      'InputInvalid',
      `the key's ${String(issue?.path[0] ?? 'settings')}: ${issue?.message ?? 'not valid'}`,
    );
  }
  const key = made.data;
  changed(path, (keys) => {
    if (keys.some(({ id }) => id === key.id))
      throw new PerennialError(
        'InputInvalid',
        `there is a key ${key.id} already; take another name, or revoke that one`,
      );
    return [...keys, key];
  });
  return { key, token };
}

/**
 * Takes a key out of its file.
 *
 * @throws PerennialError `InputInvalid` where there is none of this id
 */
export function revokeServerKey(path: string, id: string): void {
  changed(path, (keys) => {
    const left = keys.filter((key) => key.id !== id);
    if (left.length === keys.length)
      throw new PerennialError(
        'InputInvalid',
        `there is no key ${id} in ${path}; \`perennial server-key list\` names them`,
      );
    return left;
  });
}

/** The keys of a file; none where there is no file yet. */
export function serverKeys(path: string): ServerKey[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
  const found = serverKeysFile.safeParse(jsonOf(text));
  if (found.success) return found.data.keys;
  throw new PerennialError('InputInvalid', `${path} is not a file of API keys; it was left as it is`);
}

/** Two people who add keys at once must not lose one. */
function changed(path: string, change: (keys: ServerKey[]) => ServerKey[]): void {
  const lock = ProcessLock.acquire(`${path}.lock`);
  if (!(lock instanceof ProcessLock))
    throw new PerennialError('InputInvalid', `process ${lock.pid} changes ${path} just now; try again`);
  try {
    const file = { formatVersion: 1, keys: change(serverKeys(path)) };
    writePrivateFile(path, `${JSON.stringify(file, null, 2)}\n`);
  } finally {
    lock.release();
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
