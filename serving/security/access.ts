import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { requestRate } from '../../contracts/server-keys.ts';
import { RequestError } from '../request-error.ts';
import { ApiKeys } from './api-keys.ts';
import { ALL_ROLES, type Caller } from './caller.ts';
import type { JsonWebTokens } from './json-web-tokens.ts';
import { jwtKeysFile, jwtSettings } from './jwt-settings.ts';
import { WatchedFiles } from './watched-files.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** Who may ask. Plain data, so that it can be handed to another process; of tokens it holds digests only. */
export const accessSettings = z.strictObject({
  /** The file of API keys; read again when it changes, and also when it first appears. */
  keysFile: z.string().optional(),
  /** Whether the file must be there at the start. */
  keysRequired: z.boolean().default(false),
  /** SHA-256 of one token with all roles. */
  tokenSha256: sha256.optional(),
  /** SHA-256 of the token that the server itself uses. */
  internalSha256: sha256.optional(),
  jwt: jwtSettings.optional(),
  /** How often a caller may ask whose key says nothing about it; without it, as often as it likes. */
  rate: requestRate.optional(),
});
export type AccessSettings = z.infer<typeof accessSettings>;
export type AccessSettingsInput = z.input<typeof accessSettings>;

/** Who asks where nobody has to say. */
const ANYBODY: Caller = { id: 'anybody', roles: ALL_ROLES, internal: true };

/** Refusals are told in the log once in so many milliseconds, with their number. */
const TELL_EVERY_MS = 10_000;

/** One sentence for every reason: it does not tell which part was wrong. */
const REFUSAL = 'send the header "Authorization: Bearer <token>" with an API key or a token of this server';

/**
 * Finds out who asks. Without any key, token or issuer of tokens, anybody may do everything; from the first one on,
 * for as long as the process lives, nobody without.
 */
export class Access {
  #keys = ApiKeys.none;
  #tokens: JsonWebTokens | undefined;
  #required: boolean;
  readonly #own: readonly ApiKeys[];
  readonly #watches: WatchedFiles[] = [];
  #refused = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  private constructor(
    readonly settings: AccessSettings,
    private readonly logger: Logger,
  ) {
    const { tokenSha256, internalSha256, jwt } = settings;
    this.#required = tokenSha256 !== undefined || jwt !== undefined;
    this.#own = [
      ...(tokenSha256
        ? [ApiKeys.of(Buffer.from(tokenSha256, 'hex'), { id: 'the server token', roles: ALL_ROLES })]
        : []),
      ...(internalSha256
        ? [
            ApiKeys.of(Buffer.from(internalSha256, 'hex'), {
              id: 'the server',
              roles: ALL_ROLES,
              internal: true,
            }),
          ]
        : []),
    ];
  }

  /**
   * Reads keys, and watches their files from then on.
   *
   * @throws PerennialError `InputInvalid` where a file is missing, malformed, or readable by others
   */
  static async create(input: AccessSettingsInput, logger: Logger, pollMs?: number): Promise<Access> {
    const settings = accessSettings.parse(input);
    const access = new Access(settings, logger);
    const { keysFile, keysRequired, jwt } = settings;
    const failed = (error: unknown): void =>
      logger.error(
        { reason: error instanceof Error ? error.message : String(error) },
        'changed keys cannot be used; the ones before stay in force',
      );
    if (keysFile !== undefined) {
      const state = await WatchedFiles.stateOf([keysFile]);
      await access.#readKeys(keysFile);
      if (keysRequired && !access.#required)
        throw new PerennialError(
          'InputInvalid',
          `there is no file of API keys ${keysFile}; make it with \`perennial server-key add\``,
        );
      access.#watches.push(
        new WatchedFiles([keysFile], state, () => access.#readKeys(keysFile), failed, pollMs),
      );
    }
    if (jwt) {
      // Loaded only where tokens are checked.
      const { JsonWebTokens } = await import('./json-web-tokens.ts');
      const file = jwtKeysFile(jwt);
      const state = file === undefined ? '' : await WatchedFiles.stateOf([file]);
      access.#tokens = await JsonWebTokens.create(jwt);
      const read = async (): Promise<void> => {
        access.#tokens = await JsonWebTokens.create(jwt);
        logger.info('the public keys of tokens were read again');
      };
      if (file !== undefined) access.#watches.push(new WatchedFiles([file], state, read, failed, pollMs));
    }
    return access;
  }

  /** The one of a single token, or of nobody who is asked for one. */
  static ofToken(token: string | undefined, logger: Logger): Access {
    const tokenSha256 = token === undefined ? undefined : createHash('sha256').update(token).digest('hex');
    return new Access(accessSettings.parse({ tokenSha256 }), logger);
  }

  /** Whether callers have to say who they are. */
  get required(): boolean {
    return this.#required;
  }

  /**
   * Who asks; a promise only where a token's signature has to be checked.
   *
   * @param internalOnly takes the server's own token and no other
   * @throws RequestError 401; the promise rejects with it likewise
   */
  caller(authorization: string | undefined, internalOnly = false): Caller | Promise<Caller> {
    if (!this.#required && !internalOnly) return ANYBODY;
    const token = /^bearer +(.+?) *$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return this.#refuse();
    const now = Date.now();
    for (const keys of [...this.#own, this.#keys]) {
      const found = keys.find(token, now);
      if (found && (found.internal === true || !internalOnly)) return found;
    }
    // Three parts with dots between them; our own keys have none.
    if (internalOnly || !this.#tokens || token.split('.', 4).length !== 3) return this.#refuse();
    return this.#tokens.find(token, now).then((found) => found ?? this.#refuse());
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  async #readKeys(path: string): Promise<void> {
    const keys = await ApiKeys.read(path);
    if (!keys && !this.#required) return;
    // A file that is gone takes its keys with it, but opens nothing.
    const first = !this.#required;
    this.#keys = keys ?? ApiKeys.none;
    this.#required = true;
    this.logger.info(
      { path, gone: keys === undefined },
      first ? 'API keys are in force' : 'API keys were read again',
    );
  }

  #refuse(): never {
    this.#refused += 1;
    const now = performance.now();
    if (now - this.#toldAt >= TELL_EVERY_MS) {
      this.logger.warn({ refused: this.#refused }, 'requests came without a key, or with a wrong one');
      this.#toldAt = now;
      this.#refused = 0;
    }
    throw new RequestError(401, REFUSAL);
  }
}
