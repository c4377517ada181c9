import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { JsonBody } from '../input/json.ts';
import { badRequest } from '../request-error.ts';
import { registerTensorParsers } from './body-parsers.ts';
import { repositoryDescription } from './repository-openapi.ts';
import type { RouteContext } from './route-context.ts';

/** `ready`: only models that answer. Anything else is passed over, as the extension says of unknown fields. */
const indexRequest = z.object({ ready: z.boolean().default(false) });

/** One version in the index, in the words of the extension. */
interface RepositoryEntry {
  readonly name: string;
  readonly version: string;
  readonly state: 'READY' | 'UNAVAILABLE';
  readonly reason: string;
}

/**
 * Triton's model repository extension, for looking only: which versions are loaded is decided by the routes, so that
 * loading and unloading by request is refused.
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
 */
export function registerRepositoryRoutes(app: FastifyInstance, context: RouteContext): void {
  const { dataPlane } = context;
  context.describe(repositoryDescription);

  const index = (ready: boolean, only?: ReadonlySet<string>): RepositoryEntry[] =>
    dataPlane.endpoints(only).flatMap((name): RepositoryEntry[] => {
      // Without its models, an endpoint has no versions to tell of.
      if (!dataPlane.modelReady(name))
        return ready
          ? []
          : [{ name, version: '', state: 'UNAVAILABLE', reason: 'its models are not loaded' }];
      const { versions } = dataPlane.metadata(name);
      return versions.map(({ version }) => ({ name, version, state: 'READY', reason: '' }));
    });

  // Encapsulated: Triton's client sends these bodies without a content type.
  void app.register((scope, _options, registered) => {
    registerTensorParsers(scope);
    scope.post('/v2/repository/index', context.guarded('predict', 'held'), (request: FastifyRequest) => {
      const empty =
        request.body === undefined || (Buffer.isBuffer(request.body) && request.body.length === 0);
      const parsed = indexRequest.safeParse(empty ? {} : JsonBody.of(request.body).value);
      if (!parsed.success)
        throw badRequest('the body must be a JSON object; ready in it must be true or false');
      return index(parsed.data.ready, request.caller?.endpoints);
    });
    for (const action of ['load', 'unload'])
      scope.post(`/v2/repository/models/:name/${action}`, context.guarded('predict', 'held'), () => {
        throw badRequest(
          `models are not ${action}ed by request: the endpoint's routes say which versions are loaded; deploy or roll back a version instead`,
        );
      });
    registered();
  });
}
