import type { ModelInput, ModelOutput } from '../../contracts/serving.ts';
import { FLOAT32_MAX } from '../input/column-buffer.ts';
import { FIRST_SECOND, LAST_SECOND } from '../input/datetime.ts';
import type { Schema } from './openapi.ts';

/** The JSON values that an input takes. */
export function inputSchema({ kind, optional }: ModelInput): Schema {
  const missing = optional ? [{ type: 'null', description: 'a missing value' }] : [];
  const schemas = [...valueSchemas(kind), ...missing];
  const [sole] = schemas;
  return schemas.length === 1 && sole ? sole : { anyOf: schemas };
}

function valueSchemas(kind: ModelInput['kind']): { readonly [keyword: string]: unknown }[] {
  switch (kind) {
    case 'numeric':
      return [{ type: 'number', minimum: -FLOAT32_MAX, maximum: FLOAT32_MAX }];
    case 'boolean':
      return [{ enum: [true, false, 1, 0] }];
    case 'datetime':
      return [
        { type: 'string', format: 'date-time', description: 'ISO 8601; without an offset, UTC is meant' },
        { type: 'string', format: 'date' },
        { type: 'number', minimum: FIRST_SECOND, maximum: LAST_SECOND, description: 'epoch seconds' },
      ];
    case 'categorical':
    case 'text':
      return [{ type: 'string' }];
  }
}

/** The JSON values that an output has. */
export function outputSchema({ kind }: ModelOutput): Schema {
  if (kind === 'string') return { type: 'string' };
  return { type: ['number', 'null'], description: 'null where the model gives no finite number' };
}

/** One row as an object. */
export function recordSchema(inputs: readonly ModelInput[]): Schema {
  const required = inputs.filter(({ optional }) => !optional).map(({ name }) => name);
  return {
    type: 'object',
    properties: Object.fromEntries(inputs.map((input) => [input.name, inputSchema(input)])),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  };
}
