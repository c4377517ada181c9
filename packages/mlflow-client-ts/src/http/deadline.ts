/**
 * Ends a call when nothing has moved for a while, or when the caller says so.
 * Every piece of progress ({@link Deadline.touch}) starts the wait anew, so a long
 * transfer lives as long as bytes flow.
 */
export class Deadline {
  /** Aborted by the timer or by the caller, whichever is first. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #outer: AbortSignal | undefined;
  readonly #onOuter: () => void;
  #timer: NodeJS.Timeout | undefined;
  #expired = false;

  constructor(timeoutMs: number, outer: AbortSignal | undefined) {
    this.#timeoutMs = timeoutMs;
    this.#outer = outer;
    this.signal = this.#controller.signal;
    this.#onOuter = () => this.#controller.abort(outer?.reason);
    if (outer?.aborted === true) this.#onOuter();
    else outer?.addEventListener('abort', this.#onOuter, { once: true });
    this.touch();
  }

  /** Whether the timer ended the call (rather than the caller). */
  get expired(): boolean {
    return this.#expired;
  }

  /** Notes progress: the wait starts anew. */
  touch(): void {
    clearTimeout(this.#timer);
    if (this.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#expired = true;
      this.#controller.abort();
    }, this.#timeoutMs);
  }

  /** Stops the timer without stopping the call: whoever holds the data now is slow by right. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Stops watching. */
  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#onOuter);
  }
}

/** Waits, ending early (rejecting with the signal's reason) when `signal` aborts. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
