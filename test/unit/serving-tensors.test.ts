import { describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import { InputSchema } from '../../serving/input/input-schema.ts';
import { readTensors } from '../../serving/input/tensors.ts';
import { RequestError } from '../../serving/request-error.ts';

const INPUTS: ModelSignature['inputs'] = [
  { name: 'age', kind: 'numeric', optional: false },
  { name: 'city', kind: 'categorical', optional: true },
  { name: 'active', kind: 'boolean', optional: true },
  { name: 'joined', kind: 'datetime', optional: true },
];
const schema = new InputSchema(INPUTS, { maxRows: 3 });
const OUTPUTS = ['label', 'probability'];

const tensor = (name: string, datatype: string, data: unknown, shape: unknown = [1]): object => ({
  name,
  datatype,
  shape,
  data,
});
const AGE = tensor('age', 'FP32', [41]);

function read(body: unknown): unknown[][] {
  const { columns } = readTensors(schema, OUTPUTS, body).batch;
  return INPUTS.map(({ name }) => Array.from<unknown>(columns.get(name) ?? []));
}

function refusal(body: unknown): { status: number; message: string } {
  try {
    readTensors(schema, OUTPUTS, body);
  } catch (error) {
    if (error instanceof RequestError) return { status: error.status, message: error.message };
    throw error;
  }
  throw new Error('was accepted');
}

describe('readTensors', () => {
  it('reads one tensor for each column', () => {
    const inputs = [
      tensor('joined', 'INT64', [1_700_000_000, null], [2]),
      tensor('age', 'FP64', [1.5, 2], [2, 1]),
      tensor('active', 'BOOL', [[true], [false]], [2, 1]),
      tensor('city', 'BYTES', ['Ulm', null], [2]),
    ];
    expect(read({ inputs })).toEqual([
      [1.5, 2],
      ['Ulm', ''],
      [1, 0],
      [1_700_000_000, Number.NaN],
    ]);
  });

  it.each(['FP32', 'FP64', 'FP16', 'INT8', 'INT16', 'INT32', 'INT64', 'UINT8', 'UINT64'])(
    'takes numbers as %s',
    (type) => {
      expect(read({ inputs: [tensor('age', type, [7])] })[0]).toEqual([7]);
    },
  );

  it('takes dates as text and flags as numbers', () => {
    const inputs = [AGE, tensor('joined', 'BYTES', ['1970-01-02']), tensor('active', 'INT64', [1])];
    expect(read({ inputs })).toEqual([[41], [''], [1], [86_400]]);
  });

  it('gives id and wanted outputs back', () => {
    const read = readTensors(schema, OUTPUTS, {
      id: 'a',
      inputs: [AGE],
      outputs: [{ name: 'label' }],
      parameters: {},
    });
    expect(read.id).toBe('a');
    expect(read.outputs).toEqual([{ name: 'label', binary: false }]);
    const all = OUTPUTS.map((name) => ({ name, binary: false }));
    expect(readTensors(schema, OUTPUTS, { inputs: [AGE], outputs: [] }).outputs).toEqual(all);
    expect(readTensors(schema, OUTPUTS, { inputs: [AGE] }).outputs).toEqual(all);
    expect(readTensors(schema, OUTPUTS, { inputs: [AGE] }).id).toBeUndefined();
  });

  it.each<[unknown, string]>([
    [{}, 'the body has no inputs; send {"inputs": [{"name", "shape", "datatype", "data"}, …]}'],
    [{ inputs: {} }, 'inputs must be a list of tensors, got an object'],
    [{ inputs: [] }, 'the column "age" is absent; the model requires it'],
    [{ inputs: [5] }, 'inputs[0] must be an object, got a number'],
    [{ id: 5, inputs: [AGE] }, 'id must be a string, got a number'],
    [{ inputs: [{}] }, 'column name 0 (counted from 0) is not a string; name every column'],
    [{ inputs: [AGE, AGE] }, 'the column "age" is there twice; send each column once'],
    [
      { inputs: [AGE, tensor('town', 'BYTES', ['a'])] },
      'the model has no column "town"; leave it out; the model\'s metadata lists its inputs',
    ],
    [{ inputs: [AGE, tensor('cty', 'BYTES', ['a'])] }, 'the model has no column "cty"; did you mean "city"?'],
    [
      { inputs: [tensor('age', 'BYTES', ['1'])] },
      'the tensor "age": datatype must be FP32, FP64, FP16, BF16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 for a numeric column; FP32 is the usual one',
    ],
    [
      { inputs: [AGE, tensor('city', 'INT64', [1])] },
      'the tensor "city": datatype must be BYTES for a categorical column; BYTES is the usual one',
    ],
    [
      { inputs: [AGE, tensor('joined', 'FP32', [1])] },
      'the tensor "joined": datatype must be FP64, INT64, INT32, UINT64, UINT32, BYTES for a datetime column; FP64 is the usual one',
    ],
    [
      { inputs: [tensor('age', 'FP32', ['x'])] },
      'row 0, column "age": expected a number, got a string; send a JSON number, or null where the value is missing',
    ],
    [
      { inputs: [tensor('age', 'FP32', [null])] },
      'row 0, column "age": the value is missing (null); the model requires it',
    ],
    [
      { inputs: [tensor('age', 'FP32', [1], 1)] },
      'the tensor "age": shape must be [n] or [n, 1], got a number',
    ],
    [
      { inputs: [tensor('age', 'FP32', [1, 2], [1, 2])] },
      'the tensor "age": shape must be [n] or [n, 1]; send every column as a tensor of its own',
    ],
    [
      { inputs: [tensor('age', 'FP32', [], [-1])] },
      'the tensor "age": shape must be [n] or [n, 1]; send every column as a tensor of its own',
    ],
    [
      { inputs: [tensor('age', 'FP32', [1, 2])] },
      'the tensor "age": its shape says 1 values, its data have 2',
    ],
    [{ inputs: [tensor('age', 'FP32', 5)] }, 'the tensor "age": data must be a list, got a number'],
    [
      { inputs: [{ ...tensor('age', 'FP32', undefined), parameters: { binary_data_size: 4 } }] },
      'the tensor "age" is binary; send the header Inference-Header-Content-Length with the length of the JSON',
    ],
    [
      { inputs: [AGE, tensor('city', 'BYTES', ['a', 'b'], [2])] },
      'the tensor "city" has 2 rows, "age" has 1; send as many rows in each',
    ],
    [{ inputs: [tensor('age', 'FP32', [], [0])] }, 'the request has no rows; send at least one'],
    [{ inputs: [AGE], outputs: {} }, 'outputs must be a list of objects with a name, got an object'],
    [
      { inputs: [AGE], outputs: [{ name: 'x' }] },
      'outputs[0]: the model has no such output; it has label, probability',
    ],
    [
      { inputs: [AGE], outputs: [{ name: 'label' }, { name: 'label' }] },
      'outputs names an output twice; ask for each once',
    ],
    ['x', 'the body must be a JSON object, got a string'],
  ])('refuses %j', (body, message) => {
    expect(refusal(body)).toEqual({ status: 400, message });
  });

  it('refuses a shape beyond the row limit before it reserves memory for it', () => {
    expect(refusal({ inputs: [tensor('age', 'FP32', [], [1e15])] }).status).toBe(413);
  });
});
