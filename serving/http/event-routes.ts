import type { FastifyInstance, RouteShorthandOptions } from 'fastify';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import {
  type Appended,
  EVENT_LIMITS,
  type EventBatch,
  type EventFormat,
  eventBatchId,
  eventLogName,
} from '../../contracts/events.ts';
import { RequestError } from '../request-error.ts';
import { eventDescription } from './event-openapi.ts';
import type { RouteContext } from './route-context.ts';

/** What the routes of events do, without HTTP. */
export interface EventSink {
  /** Stores rows, all or nothing. */
  store(
    rows: AsyncIterable<Uint8Array>,
    format: EventFormat,
    batchId: string | undefined,
  ): Promise<EventBatch>;
  /** Appends a batch and waits for its place in the log. */
  append(log: string, batch: EventBatch): Promise<Appended>;
  /** Sends a batch to the log and does not wait. */
  send(log: string, batch: EventBatch): Promise<void>;
}

/** Content types of pushed rows. A form of a page of another origin cannot send one of these without being asked. */
const FORMATS: Readonly<Record<string, EventFormat>> = {
  'application/x-ndjson': 'jsonl',
  'application/jsonl': 'jsonl',
  'text/csv': 'csv',
};

const NO_ROWS = `send rows as JSON Lines or CSV with the header "Content-Type: ${Object.keys(FORMATS).join('" or "')}"`;

const isStream = (body: unknown): body is AsyncIterable<Uint8Array> =>
  typeof body === 'object' && body !== null && Symbol.asyncIterator in body;

const path = z.object({ log: eventLogName });
const query = z.strictObject({ batchId: eventBatchId.optional() });

/**
 * `POST /v1/events/{log}`: rows in, place in the log out. With `Prefer: respond-async` (RFC 7240) the answer is 202
 * as soon as the rows are stored and on their way; what the log makes of them is then told by its status.
 *
 * @param guard lets pass who may push
 */
export function registerEventRoutes(
  app: FastifyInstance,
  context: RouteContext,
  sink: EventSink,
  guard: Pick<RouteShorthandOptions, 'onRequest'>,
): void {
  context.describe(eventDescription);
  const options: RouteShorthandOptions = {
    bodyLimit: EVENT_LIMITS.bytes,
    config: { protocol: 'v2' },
    ...guard,
  };
  // Encapsulated: these content types are known to these routes and no others.
  void app.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(Object.keys(FORMATS), (_request, payload, done) => done(null, payload));
    scope.addContentTypeParser('*', (_request, _payload, done) => done(new RequestError(415, NO_ROWS)));
    scope.post('/v1/events/:log', options, async (request, reply) => {
      const { log } = parsed(path, request.params, 'the name of the log');
      const { batchId } = parsed(query, request.query, 'the query');
      const [type = ''] = (request.headers['content-type'] ?? '').split(';');
      const format = FORMATS[type.trim().toLowerCase()];
      const rows = request.body;
      if (!format || !isStream(rows)) throw new RequestError(415, NO_ROWS);
      const batch = await sink.store(rows, format, batchId).catch(refusal);
      if (/\brespond-async\b/i.test(String(request.headers.prefer ?? ''))) {
        await sink.send(log, batch).catch(refusal);
        return reply
          .code(202)
          .header('preference-applied', 'respond-async')
          .send({ log, batchId: batch.batchId, rows: batch.rows });
      }
      const answer = await sink.append(log, batch).catch(refusal);
      return reply.code(answer.duplicate ? 200 : 201).send(answer);
    });
    registered();
  });
}

function parsed<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new RequestError(400, `${what}: ${result.error.issues[0]?.message ?? 'is wrong'}`);
}

/** What the sender can mend is a 400; what time may mend is a 503. */
function refusal(error: unknown): never {
  if (!(error instanceof PerennialError) || error instanceof RequestError) throw error;
  if (error.code === 'InputInvalid') throw new RequestError(400, error.message);
  if (error.retryable) throw new RequestError(503, error.message);
  throw error;
}
