import { timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import { type ServerKey, serverKeysFile } from '../../contracts/server-keys.ts';
import { type Caller, tokenDigest } from './caller.ts';

interface Entry {
  readonly digest: Buffer;
  readonly caller: Caller;
  /** Epoch milliseconds. */
  readonly expires: number;
}

/** API keys by the digest of their token. */
export class ApiKeys {
  readonly #byDigest: ReadonlyMap<string, Entry>;

  private constructor(entries: readonly Entry[]) {
    this.#byDigest = new Map(entries.map((entry) => [entry.digest.toString('hex'), entry]));
  }

  static readonly none = new ApiKeys([]);

  /**
   * Reads the file that `perennial server-key` writes.
   *
   * @returns `undefined` where there is no such file
   * @throws PerennialError `InputInvalid` where it is malformed, or others than its owner can read it
   */
  static async read(path: string): Promise<ApiKeys | undefined> {
    let text: string;
    try {
      const { mode } = await stat(path);
      if ((mode & 0o077) !== 0)
        throw new PerennialError(
          'InputInvalid',
          `the file of API keys ${path} can be read or written by others (mode ${(mode & 0o777).toString(8)}); run chmod 600 on it`,
        );
      text = await readFile(path, 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
    const found = serverKeysFile.safeParse(jsonOf(text));
    if (found.success) return new ApiKeys(found.data.keys.map(entryOf));
    const [issue] = found.error.issues;
    throw new PerennialError(
      'InputInvalid',
      `${path} is not a file of API keys: ${issue?.path.map(String).join('.') || 'its root'}: ${issue?.message ?? 'wrong shape'}; write it with \`perennial server-key\``,
    );
  }

  /** A key that is not in a file. */
  static of(digest: Buffer, caller: Caller): ApiKeys {
    return new ApiKeys([{ digest, caller, expires: Number.POSITIVE_INFINITY }]);
  }

  /**
   * The caller whose token it is. What is looked up is a digest, of which a caller cannot choose the first letters;
   * it is then compared in constant time.
   *
   * @param now epoch milliseconds
   */
  find(token: string, now: number): Caller | undefined {
    const digest = tokenDigest(token);
    const entry = this.#byDigest.get(digest.toString('hex'));
    if (!entry || !timingSafeEqual(entry.digest, digest) || entry.expires <= now) return undefined;
    return entry.caller;
  }
}

function entryOf({ id, sha256, roles, endpoints, rate, expires }: ServerKey): Entry {
  return {
    digest: Buffer.from(sha256, 'hex'),
    caller: { id: `key ${id}`, roles: new Set(roles), endpoints: endpoints && new Set(endpoints), rate },
    expires: expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
