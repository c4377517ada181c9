import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode, PerennialError } from '../../contracts/errors.ts';

const failure = z.object({ code: z.string().optional(), message: z.string(), retryable: z.boolean() });

const message = z.discriminatedUnion('perennial', [
  z.object({
    perennial: z.literal('ask'),
    id: z.number(),
    kind: z.string(),
    payload: z.unknown().optional(),
  }),
  z.object({ perennial: z.literal('tell'), kind: z.string(), payload: z.unknown().optional() }),
  z.object({ perennial: z.literal('answer'), id: z.number(), value: z.unknown().optional() }),
  z.object({ perennial: z.literal('failure'), id: z.number(), failure }),
]);
type Message = z.infer<typeof message>;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Answers a question; what it throws comes out of {@link Channel.ask} on the other side. */
export type Handler = (payload: unknown) => unknown;

/**
 * Questions and news between two processes over a pipe of messages. Codes and words of errors travel, stacks do not.
 * Each side parses what it gets.
 */
export class Channel {
  readonly #waiting = new Map<number, Waiting>();
  readonly #handlers = new Map<string, Handler>();
  #asked = 0;
  #closed: PerennialError | undefined;

  /** @param post sends a message; may throw where the other side is gone */
  constructor(private readonly post: (message: object) => void) {}

  /** Says who answers a kind of question, or hears a kind of news. */
  handle(kind: string, handler: Handler): this {
    this.#handlers.set(kind, handler);
    return this;
  }

  /**
   * Asks the other side.
   *
   * @param timeoutMs without it, as long as the other side lives
   * @throws PerennialError what the other side threw; `ServerUnavailable` where it is gone, or too slow
   */
  async ask(kind: string, payload?: unknown, timeoutMs?: number): Promise<unknown> {
    if (this.#closed) throw this.#closed;
    this.#asked += 1;
    const id = this.#asked;
    const answer = new Promise<unknown>((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#post({ perennial: 'ask', id, kind, payload });
    if (timeoutMs === undefined) return answer;
    const done = new AbortController();
    try {
      return await Promise.race([
        answer,
        sleep(timeoutMs, undefined, { signal: done.signal }).then(() => {
          throw new PerennialError('ServerUnavailable', `no answer to "${kind}" in ${timeoutMs} ms`, true);
        }),
      ]);
    } finally {
      done.abort();
      if (this.#waiting.delete(id)) answer.catch(() => undefined);
    }
  }

  /** Tells the other side; nobody answers. */
  tell(kind: string, payload?: unknown): void {
    if (!this.#closed) this.#post({ perennial: 'tell', kind, payload });
  }

  /** Takes a message of the pipe. Others than ours are left alone. */
  receive(received: unknown): void {
    const parsed = message.safeParse(received);
    if (!parsed.success) return;
    const { data } = parsed;
    switch (data.perennial) {
      case 'ask':
        void this.#answer(data.id, data.kind, data.payload);
        return;
      case 'tell':
        void this.#hear(data.kind, data.payload);
        return;
      case 'answer':
        this.#take(data.id)?.resolve(data.value);
        return;
      case 'failure':
        this.#take(data.id)?.reject(errorOf(data.failure));
        return;
    }
  }

  /** Fails what is not answered yet: the other side is gone. */
  close(reason: string): void {
    this.#closed ??= new PerennialError('ServerUnavailable', reason, true);
    for (const { reject } of this.#waiting.values()) reject(this.#closed);
    this.#waiting.clear();
  }

  /** News that its handler refuses are dropped: what the other side says must not end this one. */
  async #hear(kind: string, payload: unknown): Promise<void> {
    try {
      await this.#handlers.get(kind)?.(payload);
    } catch {
      // Nobody waits for an answer.
    }
  }

  async #answer(id: number, kind: string, payload: unknown): Promise<void> {
    try {
      const handler = this.#handlers.get(kind);
      if (!handler) throw new PerennialError('StageFailed', `nobody answers "${kind}"`);
      const value = await handler(payload);
      this.#post({ perennial: 'answer', id, value });
    } catch (error) {
      this.#post({ perennial: 'failure', id, failure: failureOf(error) });
    }
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #post(sent: Message): void {
    try {
      this.post(sent);
    } catch {
      this.close('the other process is gone');
    }
  }
}

function failureOf(error: unknown): z.infer<typeof failure> {
  if (error instanceof PerennialError)
    return { code: error.code, message: error.message, retryable: error.retryable };
  return { message: error instanceof Error ? error.message : String(error), retryable: false };
}

const isCode = (code: string): code is ErrorCode => Object.hasOwn(ERROR_CODES, code);

function errorOf({ code, message: words, retryable }: z.infer<typeof failure>): Error {
  return code !== undefined && isCode(code) ? new PerennialError(code, words, retryable) : new Error(words);
}
