import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { FEEDBACK_LIMITS, type Feedback, feedback, feedbackAnswer } from '../../contracts/feedback.ts';
import { truthOf } from '../../lib/predictions/truth.ts';
import type { ModelMetadata } from '../data-plane.ts';
import type { PredictionLog } from '../log/prediction-log.ts';
import { badRequest, RequestError } from '../request-error.ts';
import {
  errorResponses,
  jsonResponse,
  type OpenApiSource,
  type Operation,
  schemaName,
  schemaOf,
  schemaReference,
} from './openapi.ts';
import { replayedTime, TIME_HEADER } from './replayed-time.ts';
import type { RouteContext } from './route-context.ts';

/** Empty ones included. */
const MAX_LINES = 2 * FEEDBACK_LIMITS.records;

const PATH = '/v1/endpoints/:name/feedback';
const JSON_LINES = ['application/x-ndjson', 'application/jsonl'] as const;
const MEDIA_TYPES = ['application/json', ...JSON_LINES] as const;

const params = z.object({ name: z.string() });

/** What the route needs of a {@link PredictionLog}. */
export type FeedbackSink = Pick<PredictionLog, 'recordTruths' | 'entityKey'>;

/**
 * `POST /v1/endpoints/{endpoint}/feedback`: what turned out to be true, days or weeks later. Nothing is kept open for
 * it: it is put on record, and finds its prediction when both are read. 202 says that it is on disk; sent again it
 * counts once, since the latest one wins.
 */
export function registerFeedbackRoutes(
  app: FastifyInstance,
  context: RouteContext,
  sink: FeedbackSink,
): void {
  context.describe(feedbackDescription);
  // Encapsulated: these content types are known to this route and no others.
  void app.register((scope, _options, registered) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser([...MEDIA_TYPES], { parseAs: 'string' }, (_request, body, done) =>
      done(null, body),
    );
    scope.addContentTypeParser('*', (_request, _payload, done) =>
      done(
        new RequestError(415, `send feedback with the header "Content-Type: ${MEDIA_TYPES.join('" or "')}"`),
      ),
    );
    scope.post(
      PATH,
      {
        ...context.guarded('feedback', 'held'),
        bodyLimit: FEEDBACK_LIMITS.bytes,
        config: { protocol: 'v2' },
      },
      async (request, reply) => {
        const { name: endpoint } = params.parse(request.params);
        context.allowed(request, endpoint, undefined);
        if (!context.dataPlane.generations().has(endpoint))
          throw new RequestError(
            404,
            'there is no such endpoint; GET /v2/health/ready tells whether any is served',
          );
        const [type = ''] = (request.headers['content-type'] ?? '').split(';');
        const header = request.headers[TIME_HEADER];
        const received = replayedTime(typeof header === 'string' ? header : undefined, context.replay);
        const items = itemsOf(String(request.body ?? ''), type.trim().toLowerCase() !== 'application/json');
        const key = items.some(({ entity }) => entity != null)
          ? await sink.entityKey().catch(unavailable)
          : undefined;
        if (!(await sink.recordTruths(items.map((item) => truthOf(endpoint, item, key, received)))))
          throw new RequestError(503, 'the feedback cannot be put on disk now; send all of it again later');
        return reply.code(202).send({ endpoint, accepted: items.length });
      },
    );
    registered();
  });
}

function unavailable(error: unknown): never {
  if (!(error instanceof PerennialError)) throw error;
  throw new RequestError(503, 'entities cannot be put on record now; send the feedback again later');
}

function itemsOf(text: string, lines: boolean): Feedback[] {
  const values = lines ? linesOf(text) : listOf(text);
  if (values.length === 0) throw badRequest('there is no feedback in the body');
  if (values.length > FEEDBACK_LIMITS.records)
    throw tooMany(lines ? `more than ${FEEDBACK_LIMITS.records} records` : `${values.length} records`);
  return values.map((value, index) => {
    const parsed = feedback.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const where = [`record ${index}`, ...(issue?.path ?? [])].join(', ');
    throw badRequest(`${where}: ${wordsOf(issue)}; nothing of the body was recorded`);
  });
}

/** Zod's words for a field that is not known quote it: its name comes from the client, but is no value. */
const wordsOf = (issue: z.core.$ZodIssue | undefined): string => issue?.message ?? 'is wrong';

function listOf(text: string): unknown[] {
  const value = parsedJson(text, 'the body');
  return Array.isArray(value) ? value : [value];
}

/** One line after the other, and no more of them than are taken: a body of empty lines is read in no time. */
function linesOf(text: string): unknown[] {
  const values: unknown[] = [];
  let lines = 0;
  for (let start = 0; start < text.length; ) {
    const next = text.indexOf('\n', start);
    const end = next < 0 ? text.length : next;
    const line = text.slice(start, end).trim();
    start = end + 1;
    lines += 1;
    if (lines > MAX_LINES) throw tooMany(`more than ${MAX_LINES} lines`);
    if (line === '') continue;
    values.push(parsedJson(line, `line ${lines}`));
    if (values.length > FEEDBACK_LIMITS.records) break;
  }
  return values;
}

const tooMany = (what: string): RequestError =>
  new RequestError(
    413,
    `the body has ${what}, at most ${FEEDBACK_LIMITS.records} records are taken; send several requests, or use \`perennial feedback\``,
  );

function parsedJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(`${what} is not JSON`);
  }
}

/** The route as OpenAPI describes it, for each endpoint. */
const feedbackDescription: OpenApiSource = (models) => ({
  paths: Object.fromEntries(
    models.map((metadata) => [
      PATH.replace(':name', encodeURIComponent(metadata.endpoint)),
      { post: tell(metadata) },
    ]),
  ),
  schemas: { Feedback: schemaOf(feedback), FeedbackAnswer: schemaOf(feedbackAnswer) },
});

function tell(metadata: ModelMetadata): Operation {
  const record = schemaReference('Feedback');
  const lines = { schema: { type: 'string', description: 'One such object on each line.' } };
  return {
    operationId: schemaName(metadata, 'feedback'),
    summary: `Tell what turned out to be true of ${metadata.endpoint}`,
    description:
      'By the id of a request, or by entity and time; days or weeks later. Sent again it counts once: the latest one wins.',
    tags: ['Feedback'],
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            anyOf: [record, { type: 'array', minItems: 1, maxItems: FEEDBACK_LIMITS.records, items: record }],
          },
        },
        ...Object.fromEntries(JSON_LINES.map((type) => [type, lines])),
      },
    },
    responses: {
      202: jsonResponse('All of it is on disk.', schemaReference('FeedbackAnswer')),
      ...errorResponses('v2', [400, 401, 403, 404, 413, 415, 429, 503]),
    },
  };
}
