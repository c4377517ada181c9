import { z } from 'zod';

/** The longest time of Node's timers. */
const milliseconds = z.number().int().min(1).max(2_147_483_647);
const count = z.number().int().min(1).max(1_000_000_000);

/** Sizes, times and numbers beyond which requests are refused; all for one process. */
export const requestLimits = z.strictObject({
  /** The largest body, also when it is decompressed; ten mebibytes: ten thousand rows of a hundred columns fit. */
  bodyBytes: count.default(10 * 1024 * 1024),
  /** Milliseconds from the connection, or the answer before, to the end of the headers: then 408. */
  headersMs: milliseconds.default(10_000),
  /** Milliseconds for the body after that: then 408. */
  bodyMs: milliseconds.default(30_000),
  /** Milliseconds for reading an answer of more than 64 KiB: then the connection is ended. */
  answerMs: milliseconds.default(30_000),
  /** Open connections; one more is closed at once. */
  connections: count.default(10_000),
  /** Requests with a body that are read, computed or answered; one more gets 503. */
  underWay: count.default(1_024),
  /** Bytes of the bodies above 64 KiB of those requests, as sent or decompressed; one more body gets 503. */
  allBodyBytes: count.default(256 * 1024 * 1024),
});
export type RequestLimits = z.infer<typeof requestLimits>;
