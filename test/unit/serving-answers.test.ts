import { describe, expect, it } from 'vitest';
import type { OutputColumns } from '../../lib/onnx/tabular-session.ts';
import { bearerCheck } from '../../serving/http/authentication.ts';
import { failureBody, failureOf } from '../../serving/http/errors.ts';
import { AnswerWriter } from '../../serving/output/answer-writer.ts';
import { RequestError } from '../../serving/request-error.ts';

const outputs: OutputColumns = {
  rows: 3,
  columns: [
    { name: 'label', kind: 'string', data: ['yes', 'a "quote"\n\u2028', 'yes'] },
    { name: 'pro"b', kind: 'float', data: Float32Array.of(0.1, Number.NaN, -0) },
    { name: 'wide', kind: 'float', data: Float64Array.of(0.1, Number.POSITIVE_INFINITY, 1e21) },
  ],
};
const writer = new AnswerWriter([
  { name: 'label', kind: 'string' },
  { name: 'pro"b', kind: 'float' },
  { name: 'wide', kind: 'float' },
]);

describe('AnswerWriter', () => {
  it('writes one object for each row', () => {
    expect(JSON.parse(writer.predictions(outputs))).toEqual({
      predictions: [
        { label: 'yes', 'pro"b': Math.fround(0.1), wide: 0.1 },
        { label: 'a "quote"\n\u2028', 'pro"b': null, wide: null },
        { label: 'yes', 'pro"b': 0, wide: 1e21 },
      ],
    });
  });

  it('writes tensors', () => {
    const wanted = outputs.columns.map(({ name }) => ({ name, binary: false }));
    const answer = { endpoint: 'chu"rn', version: '3', id: 'i"d', outputs: wanted };
    const { body, jsonLength } = writer.tensors(outputs, answer);
    expect(jsonLength).toBeUndefined();
    expect(JSON.parse(String(body))).toEqual({
      model_name: 'chu"rn',
      model_version: '3',
      id: 'i"d',
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [3], data: ['yes', 'a "quote"\n\u2028', 'yes'] },
        { name: 'pro"b', datatype: 'FP32', shape: [3], data: [Math.fround(0.1), null, 0] },
        { name: 'wide', datatype: 'FP64', shape: [3], data: [0.1, null, 1e21] },
      ],
    });
  });

  it('writes only the outputs that are wanted, in the order asked for', () => {
    const { body } = writer.tensors(outputs, {
      endpoint: 'e',
      version: '1',
      id: undefined,
      outputs: [
        { name: 'wide', binary: false },
        { name: 'label', binary: false },
      ],
    });
    const parsed: { outputs: { name: string }[] } = JSON.parse(String(body));
    expect(parsed.outputs.map((output) => output.name)).toEqual(['wide', 'label']);
    expect(parsed).not.toHaveProperty('id');
  });

  it('puts binary tensors behind the JSON, in its order', () => {
    const { body, jsonLength } = writer.tensors(
      { rows: 2, columns: [{ name: 'label', kind: 'string', data: ['ä', ''] }, ...outputs.columns.slice(1)] },
      {
        endpoint: 'e',
        version: '1',
        id: undefined,
        outputs: [
          { name: 'pro"b', binary: true },
          { name: 'wide', binary: false },
          { name: 'label', binary: true },
        ],
      },
    );
    const bytes = Buffer.from(body);
    const parsed: { outputs: object[] } = JSON.parse(bytes.toString('utf8', 0, jsonLength));
    expect(parsed.outputs).toEqual([
      { name: 'pro"b', datatype: 'FP32', shape: [2], parameters: { binary_data_size: 12 } },
      { name: 'wide', datatype: 'FP64', shape: [2], data: [0.1, null] },
      { name: 'label', datatype: 'BYTES', shape: [2], parameters: { binary_data_size: 10 } },
    ]);
    const tail = bytes.subarray(jsonLength);
    expect([tail.readFloatLE(0), tail.readFloatLE(4)]).toEqual([Math.fround(0.1), Number.NaN]);
    expect(tail.subarray(12)).toEqual(Buffer.from([2, 0, 0, 0, 0xc3, 0xa4, 0, 0, 0, 0]));
  });

  it('quotes more distinct labels than it keeps', () => {
    const labels = Array.from({ length: 3_000 }, (_, index) => `label ${index}`);
    const text = new AnswerWriter([{ name: 'label', kind: 'string' }]).predictions({
      rows: labels.length,
      columns: [{ name: 'label', kind: 'string', data: labels }],
    });
    const parsed: { predictions: { label: string }[] } = JSON.parse(text);
    expect(parsed.predictions.map((row) => row.label)).toEqual(labels);
  });
});

describe('errors', () => {
  it('keep what is inside of the server inside', () => {
    expect(failureOf(new TypeError('cannot read "salary 9000"'), 1)).toEqual({
      status: 500,
      message: 'the server failed on this request; its log has the reason',
    });
    expect(failureOf('text', 1).status).toBe(500);
  });

  it('have the shape of their protocol', () => {
    const failure = failureOf(new RequestError(404, 'no such model'), 1);
    expect(failureBody('v2', failure)).toEqual({ error: 'no such model' });
    expect(failureBody('mlflow', failure)).toEqual({
      error_code: 'RESOURCE_DOES_NOT_EXIST',
      message: 'no such model',
    });
  });
});

describe('bearerCheck', () => {
  const check = bearerCheck('s3cret');
  it.each(['Bearer s3cret', 'bearer   s3cret'])('takes "%s"', (header) => {
    expect(() => check(header)).not.toThrow();
  });
  it.each([undefined, '', 's3cret', 'Bearer', 'Bearer ', 'Bearer s3cre', 'Bearer s3cret ', 'Basic s3cret'])(
    'refuses "%s"',
    (header) => {
      expect(() => check(header)).toThrow(RequestError);
    },
  );
  it('an empty token opens nothing', () => {
    expect(() => bearerCheck('')('Bearer ')).toThrow(RequestError);
  });
});
