import {
  errorResponses,
  jsonResponse,
  type OpenApiSource,
  type Operation,
  pathParameter,
  type Schema,
} from './openapi.ts';

const TAGS = ['Model repository'] as const;

const entry: Schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    version: { type: 'string' },
    state: { enum: ['READY', 'UNAVAILABLE'] },
    reason: { type: 'string' },
  },
  required: ['name', 'version', 'state', 'reason'],
};

/** The routes of {@link registerRepositoryRoutes}. */
export const repositoryDescription: OpenApiSource = () => {
  const refused = (action: string): Operation => ({
    operationId: action,
    summary: `Refused: models are not ${action}ed by request`,
    tags: TAGS,
    parameters: [pathParameter('model', 'An endpoint.')],
    requestBody: { content: { 'application/json': { schema: {} } } },
    responses: errorResponses('v2', [400, 401, 403, 413, 415, 429, 503]),
  });
  return {
    paths: {
      '/v2/repository/index': {
        post: {
          operationId: 'index',
          summary: 'The loaded versions',
          tags: TAGS,
          requestBody: {
            content: {
              'application/json': {
                schema: { type: 'object', properties: { ready: { type: 'boolean', default: false } } },
              },
            },
          },
          responses: {
            200: jsonResponse('The versions.', { type: 'array', items: entry }),
            ...errorResponses('v2', [400, 401, 403, 413, 415, 429, 503]),
          },
        },
      },
      '/v2/repository/models/{model}/load': { post: refused('load') },
      '/v2/repository/models/{model}/unload': { post: refused('unload') },
    },
  };
};
