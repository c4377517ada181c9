import type { ModelMetadata } from '../data-plane.ts';
import { explainedAnswer } from '../explaining/explain-question.ts';
import { outputSchema } from './column-schemas.ts';
import type { Protocol } from './errors.ts';
import {
  errorResponses,
  jsonResponse,
  type OpenApiSource,
  type Operation,
  PREDICTION_REFUSALS,
  type Schema,
  schemaName,
  schemaOf,
  schemaReference,
  TIMEOUT_PARAMETER,
} from './openapi.ts';

/** Each protocol's own name of its requests' schema, and of the operation. */
const WORDS = {
  v2: { body: 'inference', operation: 'explain' },
  mlflow: { body: 'invocation', operation: 'explain.rows' },
} as const;

function answerSchema({ model: { signature } }: ModelMetadata): Schema {
  const { outputs } = signature;
  return {
    type: 'object',
    properties: {
      model_name: { type: 'string' },
      model_version: { type: 'string' },
      id: { type: 'string' },
      predictions: {
        type: 'array',
        items: {
          type: 'object',
          properties: Object.fromEntries(outputs.map((output) => [output.name, outputSchema(output)])),
          required: outputs.map(({ name }) => name),
        },
      },
      confidence: { type: 'number', description: 'of the errors of sampled contributions' },
      explanations: { type: 'array', items: schemaOf(explainedAnswer) },
    },
    required: ['model_name', 'model_version', 'predictions', 'confidence', 'explanations'],
  };
}

function explain(metadata: ModelMetadata, protocol: Protocol, version?: string): Operation {
  const { body, operation } = WORDS[protocol];
  return {
    operationId: schemaName(metadata, version === undefined ? operation : `${operation}.${version}`),
    summary: `Explain answers of ${metadata.endpoint}${version === undefined ? '' : `, version ${version}`}`,
    description:
      'What each column contributed to the answers, for at most 16 rows at once. The body is that of a prediction.',
    tags: ['Explanations'],
    parameters: [TIMEOUT_PARAMETER],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: schemaReference(schemaName(metadata, body)) } },
    },
    responses: {
      200: jsonResponse(
        'One prediction and one explanation for each row.',
        schemaReference(schemaName(metadata, 'explanations')),
      ),
      ...errorResponses(protocol, PREDICTION_REFUSALS),
    },
  };
}

/** The routes of {@link registerExplainRoutes}, for models that came with what explains them. */
export const explainDescription: OpenApiSource = (models) => {
  const explained = models.filter(({ model }) => model.explanation);
  return {
    paths: Object.fromEntries(
      explained.flatMap((metadata) => {
        const name = encodeURIComponent(metadata.endpoint);
        const { version } = metadata.model;
        return [
          [`/v2/models/${name}/explain`, { post: explain(metadata, 'v2') }],
          [
            `/v2/models/${name}/versions/${encodeURIComponent(version)}/explain`,
            { post: explain(metadata, 'v2', version) },
          ],
          [`/endpoints/${name}/explain`, { post: explain(metadata, 'mlflow') }],
        ];
      }),
    ),
    schemas: Object.fromEntries(
      explained.map((metadata) => [schemaName(metadata, 'explanations'), answerSchema(metadata)]),
    ),
  };
};
