/** Longer than any answer takes; a client that sends its request more slowly than that is cut off. */
export const CLOSE_GRACE_MS = 10_000;

/** How a server ends. */
export interface CloseOptions {
  /** Milliseconds in which it still accepts requests, but is not ready: load balancers turn away. Default 0. */
  readonly delayMs?: number | undefined;
  /** Milliseconds for the requests under way after that, default ten seconds. */
  readonly graceMs?: number | undefined;
}
