import { eventMoment } from '../../contracts/feedback.ts';
import { epochOf } from '../../lib/predictions/wall-clock.ts';
import { badRequest } from '../request-error.ts';

/** When what is replayed happened, ISO 8601; for servers that were started for it. */
export const TIME_HEADER = 'perennial-time';

/**
 * The moment that a request gives for itself. A server that is not there for it refuses the header: predictions on
 * record at the wrong time, and truth that finds none of them, would be told by nobody.
 *
 * @param header what the request has of it
 * @param replay whether the server takes recorded traffic
 * @returns epoch milliseconds; `undefined`: it is of now
 * @throws RequestError 400
 */
export function replayedTime(header: string | undefined, replay: boolean): number | undefined {
  if (header === undefined) return undefined;
  if (!replay)
    throw badRequest(
      `the header ${TIME_HEADER} is for recorded traffic, and this server takes traffic of now; leave the header out, or start a server with PERENNIAL_REPLAY=1`,
    );
  const parsed = eventMoment.safeParse(header);
  const at = parsed.success ? epochOf(parsed.data) : Number.NaN;
  if (at >= 0) return at;
  throw badRequest(
    `the header ${TIME_HEADER} must be a moment in ISO 8601 from 1970 on, such as 2009-06-01T10:00:00Z; without an offset it is UTC`,
  );
}
