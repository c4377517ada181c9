import { once } from 'node:events';
import { createClient, RESP_TYPES } from '@redis/client';
import { certificateWords } from '../certificate-words.ts';
import { OnlineStoreError } from './online-store.ts';

/** Milliseconds between two attempts to connect, at first and at most. */
const RETRY_MS = 50;
const MOST_RETRY_MS = 2_000;
/** Milliseconds to connect at the least: TLS takes several round trips, and no look-up waits for them. */
const CONNECT_MS = 2_000;
/** A connection that has not answered for so long is given up for a new one. */
const HUNG_MS = 1_000;

/** What a connection needs. */
export interface RedisAddress {
  /** Without a password. */
  readonly url: string;
  readonly password?: string;
  /** Milliseconds for an answer, and that whoever asks waits for a connection. */
  readonly timeoutMs: number;
}

const createRaw = ({ url, password, timeoutMs }: RedisAddress) =>
  createClient({
    url,
    ...(password === undefined ? {} : { password }),
    RESP: 2,
    disableOfflineQueue: true,
    socket: {
      connectTimeout: Math.max(timeoutMs, CONNECT_MS),
      reconnectStrategy: (tries) => Math.min(RETRY_MS * 2 ** tries, MOST_RETRY_MS),
    },
    commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
  });
export type RedisClient = ReturnType<typeof createRaw>;

/**
 * A connection to Redis that answers in time or says that it does not: it connects again by itself, queues nothing while
 * it is away, and asks nothing more of a server that owes it an answer.
 *
 * @example await link.ask((client) => client.sendCommand(['PING']));
 */
export class RedisLink {
  #client: RedisClient;
  /** Whether the last attempt to connect failed. */
  #away = false;
  /** What is wrong with its certificate, where that is why. */
  #certificate: string | undefined;
  /** Since when an answer is overdue. */
  #hungAt: number | undefined;
  #closed = false;

  /** Begins to connect. @param place for messages */
  constructor(
    private readonly address: RedisAddress,
    private readonly place: string,
  ) {
    this.#client = this.#connected();
  }

  /**
   * @param question must send its commands at once
   * @throws OnlineStoreError where there is no answer in time; what `question` throws as the cause of one
   */
  async ask<T>(question: (client: RedisClient) => Promise<T>): Promise<T> {
    if (this.#hungAt !== undefined && performance.now() - this.#hungAt > HUNG_MS) this.#renew();
    if (this.#hungAt !== undefined) throw this.#unavailable('does not answer');
    await this.#ready();
    const client = this.#client;
    const answer = question(client).catch((cause: unknown) => {
      if (cause instanceof OnlineStoreError) throw cause;
      throw this.#unavailable(cause instanceof Error ? cause.message : String(cause), cause);
    });
    const late = (): void => {
      if (client !== this.#client) return;
      this.#hungAt ??= performance.now();
      const answered = (): void => {
        if (client === this.#client) this.#hungAt = undefined;
      };
      answer.then(answered, answered);
    };
    return this.#inTime(answer, 'does not answer', late);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client.destroy();
  }

  async #ready(): Promise<void> {
    if (this.#client.isReady) return;
    // Who comes while the first connection is made waits for it; nobody waits for one that is away.
    if (this.#away || this.#closed) throw this.#unavailable('cannot be reached');
    const stop = new AbortController();
    try {
      await this.#inTime(once(this.#client, 'ready', { signal: stop.signal }), 'cannot be reached', () => {
        this.#away = true;
      });
    } catch (error) {
      throw error instanceof OnlineStoreError ? error : this.#unavailable('cannot be reached', error);
    } finally {
      stop.abort();
    }
  }

  #inTime<T>(answer: Promise<T>, problem: string, late: () => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // Where this process itself was held up, the answer may be here by now.
        setImmediate(() => {
          if (settled) return;
          late();
          reject(this.#unavailable(problem));
        });
      }, this.address.timeoutMs);
      let settled = false;
      const settle = (): void => {
        settled = true;
        clearTimeout(timer);
      };
      answer.then(
        (value) => {
          settle();
          resolve(value);
        },
        (error: unknown) => {
          settle();
          reject(error);
        },
      );
    });
  }

  #connected(): RedisClient {
    const client = createRaw(this.address);
    client.on('error', (error: unknown) => {
      if (client !== this.#client) return;
      this.#away = true;
      this.#certificate = certificateWords(error, 'this process');
    });
    client.on('ready', () => {
      if (client !== this.#client) return;
      this.#away = false;
      this.#certificate = undefined;
      this.#hungAt = undefined;
    });
    // It tries again until it is closed.
    client.connect().catch(() => undefined);
    return client;
  }

  #renew(): void {
    const old = this.#client;
    this.#hungAt = undefined;
    this.#away = true;
    this.#client = this.#connected();
    old.destroy();
  }

  #unavailable(problem: string, cause?: unknown): OnlineStoreError {
    const why = this.#certificate === undefined ? '' : `: its TLS certificate ${this.#certificate}`;
    return new OnlineStoreError(`the online store ${this.place} ${problem}${why}`, { cause });
  }
}
