import { entityColumns, type ModelInput, type ModelOutput } from '../../contracts/serving.ts';
import type { ModelMetadata } from '../data-plane.ts';
import { keysBeside, requestInputs } from '../features/view-inputs.ts';
import { FLOAT32_MAX } from '../input/column-buffer.ts';
import { DATATYPES, KEY_DATATYPES } from '../input/datatypes.ts';
import { FIRST_SECOND, LAST_SECOND } from '../input/datetime.ts';
import { MAX_KEY_LENGTH } from '../input/entity-key.ts';
import type { Schema } from './openapi.ts';

/** A column that a request may have. */
export interface RequestColumn {
  readonly name: string;
  /** Of one value. */
  readonly schema: Schema;
  readonly optional: boolean;
  /** Of its tensors. */
  readonly datatypes: readonly string[];
}

/** A whole number that every client writes exactly; larger ones, up to 64 bits, are taken where they are exact. */
const WHOLE = {
  type: 'integer',
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
} as const;
const KEY_TEXT = { type: 'string', maxLength: MAX_KEY_LENGTH } as const;

/** The model's inputs in their order, and behind them the columns that only say whose features are wanted. */
export function requestColumns({
  model,
  otherKeys,
}: Pick<ModelMetadata, 'model' | 'otherKeys'>): RequestColumn[] {
  const entities = entityColumns(model);
  const inputs = requestInputs(model);
  const { own, others } = keysBeside(model, otherKeys);
  const keyed = (description: string) => (name: string) => ({
    name,
    optional: true,
    schema: { description, anyOf: [KEY_TEXT, WHOLE, { type: 'boolean' }, { type: 'null' }] },
    datatypes: KEY_DATATYPES,
  });
  return [
    ...inputs.map((input): RequestColumn => {
      const { name, kind, optional } = input;
      const schema = entities.includes(name) ? keyInputSchema(input) : inputSchema(input);
      return { name, optional, schema, datatypes: DATATYPES[kind] };
    }),
    ...own.map(keyed('whose features are looked up')),
    ...others.map(keyed('whose features other versions look up; passed over')),
  ];
}

/** Of a model's input that also says whose features are wanted. */
function keyInputSchema({ kind, optional }: ModelInput): Schema {
  const schemas: Readonly<Record<ModelInput['kind'], { readonly [keyword: string]: unknown }>> = {
    numeric: WHOLE,
    boolean: { enum: [true, false, 1, 0] },
    datetime: { type: 'string', format: 'date' },
    categorical: KEY_TEXT,
    text: KEY_TEXT,
  };
  return optional ? { anyOf: [schemas[kind], { type: 'null' }] } : schemas[kind];
}

/** The JSON values that an input takes. */
function inputSchema({ kind, optional }: ModelInput): Schema {
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
export function recordSchema(columns: readonly RequestColumn[]): Schema {
  const required = columns.filter(({ optional }) => !optional).map(({ name }) => name);
  return {
    type: 'object',
    properties: Object.fromEntries(columns.map(({ name, schema }) => [name, schema])),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
  };
}
