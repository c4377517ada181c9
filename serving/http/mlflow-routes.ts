import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { readInvocation } from '../input/invocations.ts';
import { parseJson } from '../input/json.ts';
import type { RouteContext } from './route-context.ts';

/**
 * The HTTP interface of MLflow's scoring server: `/invocations`, `/ping`, `/health`, `/version`.
 * `/endpoints/<model>/invocations` is for servers of several models.
 */
export function registerMlflowRoutes(app: FastifyInstance, context: RouteContext): void {
  const { dataPlane, metrics } = context;

  const invoke = async (
    request: FastifyRequest<{ Params: { name?: string } }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> => {
    const started = performance.now();
    const body = parseJson(request.body);
    const name = request.params.name ?? dataPlane.soleEndpoint();
    const inference = await dataPlane.infer(name, undefined, (model) => readInvocation(model.schema, body));
    const text = inference.model.writer.predictions(inference.outputs);
    metrics.answered(inference, (performance.now() - started) / 1000);
    return context.answer(reply, inference, text);
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
      .type('application/json')
      .send('\n');
  app.get('/ping', health);
  app.get('/health', health);
  app.get('/version', (_request, reply) => reply.type('application/json').send(context.version));
}
