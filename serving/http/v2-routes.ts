import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ModelMetadata } from '../data-plane.ts';
import { parseJson } from '../input/json.ts';
import { METADATA_DATATYPES, readTensors, type TensorRequest } from '../input/tensors.ts';
import { RequestError } from '../request-error.ts';
import type { RouteContext } from './route-context.ts';

/** The parts of a path below `/v2/models`. */
interface ModelPath {
  name: string;
  version?: string;
}

/** The HTTP interface of the Open Inference Protocol (V2). */
export function registerV2Routes(app: FastifyInstance, context: RouteContext): void {
  const { dataPlane } = context;

  app.get('/v2', () => ({ name: 'perennial', version: context.version, extensions: [] }));
  app.get('/v2/health/live', () => ({ live: true }));
  app.get('/v2/health/ready', (_request, reply) => {
    const ready = dataPlane.ready();
    return reply.code(ready ? 200 : 503).send({ ready });
  });

  const infer = async (
    request: FastifyRequest<{ Params: ModelPath }>,
    reply: FastifyReply,
  ): Promise<FastifyReply> => {
    const body = parseJson(request.body);
    if (request.headers['inference-header-content-length'] !== undefined)
      throw new RequestError(400, 'binary tensor data are not supported; send the data as JSON');
    const { name, version } = request.params;
    let read: TensorRequest | undefined;
    return context.predict(request, reply, {
      endpoint: name,
      version,
      read: (model) => {
        const outputs = model.served.signature.outputs.map((output) => output.name);
        read = readTensors(model.schema, outputs, body);
        return read.batch;
      },
      write: ({ model, outputs }) =>
        model.writer.tensors(outputs, {
          endpoint: name,
          version: model.served.version,
          id: read?.id,
          outputs: read?.outputs,
        }),
    });
  };

  for (const path of ['/v2/models/:name', '/v2/models/:name/versions/:version']) {
    app.get<{ Params: ModelPath }>(path, context.guarded('predict'), ({ params }) =>
      describeModel(dataPlane.metadata(params.name, params.version)),
    );
    app.get<{ Params: ModelPath }>(`${path}/ready`, ({ params: { name, version } }, reply) => {
      const ready = dataPlane.modelReady(name, version);
      return reply.code(ready ? 200 : 503).send({ name, ready });
    });
    app.post<{ Params: ModelPath }>(`${path}/infer`, context.inference('v2'), infer);
  }
}

/** The protocol's model metadata; what it has no field for stands under `parameters`. */
function describeModel({ endpoint, generation, versions, model }: ModelMetadata): object {
  return {
    name: endpoint,
    versions: versions.map(({ version }) => version),
    platform: 'onnx_onnxv1',
    inputs: model.signature.inputs.map(({ name, kind, optional }) => ({
      name,
      datatype: METADATA_DATATYPES[kind],
      shape: [-1],
      parameters: { kind, optional },
    })),
    outputs: model.signature.outputs.map(({ name, kind }) => ({
      name,
      datatype: kind === 'string' ? 'BYTES' : 'FP32',
      shape: [-1],
    })),
    parameters: { version: model.version, sha256: model.onnx.sha256, generation, loaded: versions },
  };
}
