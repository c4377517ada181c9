import { appended, EVENT_LIMITS, eventBatchId, eventLogName } from '../../contracts/events.ts';
import { errorResponses, jsonResponse, type OpenApiSource, schemaOf } from './openapi.ts';

/** The route of {@link registerEventRoutes}. */
export const eventDescription: OpenApiSource = () => {
  const answer = schemaOf(appended);
  const rows = (description: string) => ({ schema: { type: 'string', minLength: 1, description } });
  return {
    paths: {
      '/v1/events/{log}': {
        post: {
          operationId: 'pushEvents',
          summary: 'Push rows to an event log',
          description: `Rows in, place in the log out. A batch has at most ${EVENT_LIMITS.rows} rows and ${EVENT_LIMITS.bytes} bytes; sent again under the same id it counts once.`,
          tags: ['Events'],
          parameters: [
            { name: 'log', in: 'path', required: true, schema: schemaOf(eventLogName) },
            {
              name: 'batchId',
              in: 'query',
              description: 'Names the batch; without it the digest of the rows does.',
              schema: schemaOf(eventBatchId),
            },
            {
              name: 'prefer',
              in: 'header',
              description: 'With respond-async the answer does not wait for the log (202).',
              schema: { type: 'string' },
            },
          ],
          requestBody: {
            required: true,
            content: {
              'application/x-ndjson': rows('One JSON object on each line.'),
              'application/jsonl': rows('One JSON object on each line.'),
              'text/csv': rows('A line of names, then one line for each row.'),
            },
          },
          responses: {
            200: jsonResponse('The log had this batch already.', answer),
            201: jsonResponse('The batch is in the log.', answer),
            202: jsonResponse(
              'The rows are stored and on their way to the log.',
              schemaOf(appended.pick({ log: true, batchId: true, rows: true })),
            ),
            ...errorResponses('v2', [400, 401, 403, 413, 415, 429, 503]),
          },
        },
      },
    },
  };
};
