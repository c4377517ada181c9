import type { ModelMetadata } from '../data-plane.ts';
import { outputSchema, recordSchema, requestColumns } from './column-schemas.ts';
import {
  ANSWER_HEADERS,
  errorResponses,
  jsonResponse,
  type OpenApiSource,
  type Operation,
  PREDICTION_HEADERS,
  PREDICTION_REFUSALS,
  type Schema,
  schemaName,
  schemaReference,
  textResponse,
} from './openapi.ts';

/** The four shapes of a body. Other fields are passed over. */
function requestSchema({ model, otherKeys, maxRows }: ModelMetadata): Schema {
  const named = requestColumns({ model, otherKeys });
  // Lists have the model's own inputs: what says whose features are wanted has no place among them.
  const listed = named.slice(0, model.signature.inputs.length);
  const rowList = (items: Schema): Schema => ({ type: 'array', items, minItems: 1, maxItems: maxRows });
  const record = recordSchema(named);
  const list: Schema = {
    type: 'array',
    description: 'the values of one row, in the order of the inputs',
    prefixItems: listed.map(({ schema }) => schema),
    items: false,
    minItems: listed.length,
  };
  const columns = {
    type: 'object',
    description: 'columns, each with as many values',
    properties: Object.fromEntries(named.map(({ name, schema }) => [name, rowList(schema)])),
    required: named.filter(({ optional }) => !optional).map(({ name }) => name),
    additionalProperties: false,
  };
  const formats: Record<string, Schema> = {
    dataframe_split: {
      type: 'object',
      description: 'columns in any order; optional ones may be left out',
      properties: {
        columns: { type: 'array', items: { enum: named.map(({ name }) => name) }, uniqueItems: true },
        data: rowList({ type: 'array' }),
      },
      required: ['columns', 'data'],
    },
    dataframe_records: rowList(record),
    instances: { anyOf: [rowList(record), rowList(list)] },
    inputs: { anyOf: [columns, rowList(record), rowList(list)] },
  };
  return {
    type: 'object',
    properties: {
      ...formats,
      // Anything may stand here; of an object, the entity is read.
      params: {
        properties: { entity: { type: 'string', minLength: 1, maxLength: 500 } },
      },
    },
    oneOf: Object.keys(formats).map((format) => ({ required: [format] })),
  };
}

function answerSchema({ model: { signature } }: ModelMetadata): Schema {
  const { outputs } = signature;
  return {
    type: 'object',
    properties: {
      predictions: {
        type: 'array',
        items: {
          type: 'object',
          properties: Object.fromEntries(outputs.map((output) => [output.name, outputSchema(output)])),
          required: outputs.map(({ name }) => name),
        },
      },
    },
    required: ['predictions'],
  };
}

function invoke(metadata: ModelMetadata, operationId: string): Operation {
  return {
    operationId,
    summary: `Predict with ${metadata.endpoint}`,
    tags: ['MLflow'],
    parameters: PREDICTION_HEADERS,
    requestBody: {
      required: true,
      content: { 'application/json': { schema: schemaReference(schemaName(metadata, 'invocation')) } },
    },
    responses: {
      200: jsonResponse(
        'One prediction for each row.',
        schemaReference(schemaName(metadata, 'predictions')),
        ANSWER_HEADERS,
      ),
      ...errorResponses('mlflow', PREDICTION_REFUSALS),
    },
  };
}

/** The routes of {@link registerMlflowRoutes}. */
export const mlflowDescription: OpenApiSource = (models) => {
  const health = (operationId: string): Operation => ({
    operationId,
    summary: 'Whether all that is to be served can be',
    tags: ['MLflow'],
    responses: { 200: textResponse('It can.'), 503: textResponse('It cannot.') },
  });
  const [sole] = models;
  return {
    paths: {
      ...(sole && models.length === 1 && { '/invocations': { post: invoke(sole, 'invocations') } }),
      ...Object.fromEntries(
        models.map((metadata) => [
          `/endpoints/${encodeURIComponent(metadata.endpoint)}/invocations`,
          { post: invoke(metadata, schemaName(metadata, 'invocations')) },
        ]),
      ),
      '/ping': { get: health('ping') },
      '/health': { get: health('health') },
      '/version': {
        get: {
          operationId: 'version',
          summary: 'Version of the server',
          tags: ['MLflow'],
          responses: { 200: textResponse('Version.') },
        },
      },
    },
    schemas: Object.fromEntries(
      models.flatMap((metadata) => [
        [schemaName(metadata, 'invocation'), requestSchema(metadata)],
        [schemaName(metadata, 'predictions'), answerSchema(metadata)],
      ]),
    ),
  };
};
