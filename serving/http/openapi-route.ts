import type { FastifyInstance } from 'fastify';
import type { DataPlane, ModelMetadata } from '../data-plane.ts';
import { RequestError } from '../request-error.ts';
import { ERROR_SCHEMAS, type OpenApiSource } from './openapi.ts';
import type { RouteContext } from './route-context.ts';

/**
 * `GET /openapi.json`: what this server serves at the moment, as OpenAPI 3.1; of the endpoints those that the caller
 * may ask.
 *
 * @param descriptions what the files of routes say of themselves
 */
export function registerOpenApiRoute(
  app: FastifyInstance,
  { dataPlane, version, guarded }: RouteContext,
  descriptions: readonly OpenApiSource[],
): void {
  app.get('/openapi.json', guarded('predict'), ({ caller }) => {
    const models = dataPlane.endpoints(caller?.endpoints).flatMap((name) => metadataOf(dataPlane, name));
    return openApiDocument(models, version, descriptions);
  });
}

function openApiDocument(
  models: readonly ModelMetadata[],
  version: string,
  descriptions: readonly OpenApiSource[],
): object {
  const parts = descriptions.map((describe) => describe(models));
  return {
    openapi: '3.1.0',
    info: {
      title: 'Perennial model server',
      version,
      description:
        'Predictions over the Open Inference Protocol (V2) and the protocol of MLflow scoring servers. The models are those that are loaded at the moment.',
    },
    servers: [{ url: './' }],
    // Where the server has no token, anybody may ask.
    security: [{}, { bearer: [] }],
    paths: Object.assign({}, ...parts.map(({ paths }) => paths)),
    components: {
      schemas: Object.assign({}, ERROR_SCHEMAS, ...parts.map(({ schemas }) => schemas)),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}

/** An endpoint whose models could not be restored has nothing to describe. */
function metadataOf(dataPlane: DataPlane, endpoint: string): ModelMetadata[] {
  try {
    return [dataPlane.metadata(endpoint)];
  } catch (error) {
    if (error instanceof RequestError) return [];
    throw error;
  }
}
