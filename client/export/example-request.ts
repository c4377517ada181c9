import { z } from 'zod';
import { isTextInput, type ModelInput, type ModelSignature } from '../../contracts/serving.ts';

/** A model directory's `input_example.json`. */
export const inputExample = z.object({
  columns: z.array(z.string()),
  data: z.array(z.array(z.union([z.number(), z.string(), z.boolean(), z.null()]))),
});
export type InputExample = z.infer<typeof inputExample>;

const datatype = (kind: ModelInput['kind']): string => {
  if (isTextInput(kind)) return 'BYTES';
  if (kind === 'datetime') return 'FP64';
  return kind === 'boolean' ? 'BOOL' : 'FP32';
};

/**
 * The model's input example as a request of the Open Inference Protocol.
 *
 * @example v2Request(signature, { columns: ['age'], data: [[41], [null]] })
 * // { inputs: [{ name: 'age', shape: [2], datatype: 'FP32', data: [41, null] }] }
 */
export const v2Request = ({ inputs }: ModelSignature, { columns, data }: InputExample) => ({
  inputs: inputs.map(({ name, kind }) => ({
    name,
    shape: [data.length],
    datatype: datatype(kind),
    data: data.map((row) => {
      const value = row[columns.indexOf(name)] ?? null;
      return kind === 'boolean' && typeof value === 'number' ? value !== 0 : value;
    }),
  })),
});
