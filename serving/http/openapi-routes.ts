import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { DataPlane, ModelMetadata } from '../data-plane.ts';
import { RequestError } from '../request-error.ts';
import { mlflowDescription } from './mlflow-openapi.ts';
import { ERROR_SCHEMAS, type OpenApiSource } from './openapi.ts';
import { repositoryDescription } from './repository-openapi.ts';
import type { RouteContext } from './route-context.ts';
import { v2Description } from './v2-openapi.ts';

/** Every file of routes says here what it serves: a new one adds its description to the list. */
const DESCRIPTIONS: readonly OpenApiSource[] = [v2Description, mlflowDescription, repositoryDescription];

/** Swagger UI and nothing else may run in the page; it may ask this server only. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Perennial model server</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;
const START = "SwaggerUIBundle({ url: 'openapi.json', dom_id: '#swagger-ui', deepLinking: true });\n";

/** The page's files out of the package. */
const ASSETS = { 'swagger-ui.css': 'text/css', 'swagger-ui-bundle.js': 'text/javascript' } as const;

/**
 * `GET /openapi.json`: what this server serves at the moment, as OpenAPI 3.1. `GET /docs`: the same for people.
 *
 * @param more of routes that not every server has
 */
export function registerOpenApiRoutes(
  app: FastifyInstance,
  context: RouteContext,
  more: readonly OpenApiSource[] = [],
): void {
  const { dataPlane, version } = context;
  app.get('/openapi.json', context.guarded('predict'), () => openApiDocument(dataPlane, version, more));

  const page = (body: string | Buffer, type: string) => ({
    body,
    headers: {
      'content-type': `${type}; charset=utf-8`,
      'content-security-policy': PAGE_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
  });
  app.get('/docs', (_request, reply) => {
    const { body, headers } = page(PAGE, 'text/html');
    return reply.headers(headers).send(body);
  });
  app.get('/docs/start.js', (_request, reply) => {
    const { body, headers } = page(START, 'text/javascript');
    return reply.headers(headers).send(body);
  });
  for (const [name, type] of Object.entries(ASSETS))
    app.get(`/docs/${name}`, async (_request, reply) => {
      // Read anew each time: the page is looked at rarely, and two megabytes are not kept for it.
      const { body, headers } = page(await readFile(join(assetFolder(), name)), type);
      return reply.headers({ ...headers, 'cache-control': 'max-age=86400' }).send(body);
    });
}

function assetFolder(): string {
  try {
    return join(
      dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui/package.json')),
      'static',
    );
  } catch {
    throw new RequestError(
      404,
      'the package @fastify/swagger-ui is not installed; read /openapi.json instead',
    );
  }
}

/** The document; the models in it are those that are loaded now. */
export function openApiDocument(
  dataPlane: DataPlane,
  version: string,
  more: readonly OpenApiSource[] = [],
): object {
  const models = dataPlane.endpoints().flatMap((endpoint) => metadataOf(dataPlane, endpoint));
  const parts = [...DESCRIPTIONS, ...more].map((describe) => describe(models));
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
