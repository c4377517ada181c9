import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { readEnvelope } from '../input/envelope.ts';
import { JsonBody } from '../input/json.ts';
import { readInvocationBody } from '../input/request-reader.ts';
import { mlflowDescription } from './mlflow-openapi.ts';
import type { RouteContext } from './route-context.ts';

/**
 * The HTTP interface of MLflow's scoring server: `/invocations`, `/ping`, `/health`, `/version`.
 * `/endpoints/<model>/invocations` is for servers of several models; MLflow's deployment client asks there.
 */
export function registerMlflowRoutes(app: FastifyInstance, context: RouteContext): void {
  const { dataPlane } = context;
  context.describe(mlflowDescription);

  const invoke = async (
    request: FastifyRequest<{ Params: { name?: string } }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> => {
    const body = JsonBody.of(request.body);
    return context.predict(request, reply, {
      endpoint: request.params.name ?? dataPlane.soleEndpoint(request.caller?.endpoints),
      entity: readEnvelope(body, 'mlflow').entity,
      read: (model) => readInvocationBody(model.schema, body),
      write: ({ model, outputs }) => model.writer.predictions(outputs),
    });
  };
  app.post<{ Params: { name?: string } }>('/invocations', context.inference('mlflow'), invoke);
  app.post<{ Params: { name?: string } }>(
    '/endpoints/:name/invocations',
    context.inference('mlflow'),
    invoke,
  );

  const health = (_request: FastifyRequest, reply: FastifyReply): FastifyReply =>
    reply
      .code(dataPlane.ready() ? 200 : 503)
      .type('text/plain; charset=utf-8')
      .send('\n');
  app.get('/ping', health);
  app.get('/health', health);
  app.get('/version', (_request, reply) => reply.type('text/plain; charset=utf-8').send(context.version));
}
