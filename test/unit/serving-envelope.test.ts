import { describe, expect, it } from 'vitest';
import { readEnvelope } from '../../serving/input/envelope.ts';
import { JsonBody } from '../../serving/input/json.ts';

const envelope = (text: string, protocol: 'v2' | 'mlflow' = 'v2') =>
  readEnvelope(JsonBody.of(Buffer.from(text)), protocol);

describe('the envelope of a request', () => {
  it('is found wherever it stands', () => {
    expect(envelope('{"inputs":[{"name":"id"}],"id":"7","parameters":{"entity":"anna"}}')).toEqual({
      id: '7',
      entity: 'anna',
    });
    expect(envelope('{"params":{"entity":"anna"},"inputs":{}}', 'mlflow')).toEqual({
      id: undefined,
      entity: 'anna',
    });
    expect(envelope('{"inputs":[],"\\u0069d":"7"}').id).toBe('7');
  });

  it('is found behind a hundred thousand other keys, which quadratic time would not do', () => {
    const others = '"a":1,'.repeat(100_000);
    expect(envelope(`{${others}"id":"7"}`).id).toBe('7');
    expect(envelope(`{${others}"\\u0069d":"7"}`).id).toBe('7');
    expect(envelope(`{${others}"z":"entity"}`, 'mlflow').entity).toBeUndefined();
  });
});
