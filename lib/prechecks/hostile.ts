import type { CandidateClient, RawAnswer } from './candidate-client.ts';
import { hostileInputs } from './hostile-inputs.ts';
import { refuses } from './refusal.ts';
import { binaryRequest, type Row, type TensorData } from './tensor-body.ts';

/**
 * Asks with inputs that are none, or that nobody would send. Each must be refused with 4xx, or answered with finite
 * numbers and labels; and a sound row must be answered afterwards as it was before.
 *
 * @param row a sound one
 * @returns how many were survived: all of them
 * @throws PerennialError `PrecheckFailed` that names the first that was not
 */
export async function checkHostileInputs(client: CandidateClient, row: Row): Promise<number> {
  const { signature } = client.address.model;
  const sound = binaryRequest(signature, [row]);
  const before = await client.send(sound);
  const inputs = hostileInputs(signature, row);
  for (const { name, request, overflows = false } of inputs) {
    const answer = await client.send(request);
    const problem = problemOf(answer, overflows);
    if (problem !== undefined)
      throw refuses(
        client,
        `${problem} to a hostile input: ${name}. It must be refused or answered with finite numbers: clip the column (clip, docs/features.md), or leave the check out (deployment.precheck.hostile: false)`,
      );
  }
  const after = await client.send(sound);
  if (!(before.outputs && after.outputs && alike(before.outputs, after.outputs)))
    throw refuses(
      client,
      `after ${inputs.length} hostile inputs it answered ${after.status} to a sound row, or otherwise than before; look into the server’s log`,
    );
  return inputs.length;
}

function problemOf({ status, outputs, words }: RawAnswer, overflows: boolean): string | undefined {
  // What is refused for its frequency was not looked at.
  if (status >= 400 && status < 500 && status !== 429) return undefined;
  if (status !== 200) return `it answered ${status} (${words})`;
  if (!outputs) return 'it gave an answer that is none';
  if (overflows) return undefined;
  for (const [name, values] of outputs)
    for (const value of values)
      if (value === null || value === '' || (typeof value === 'number' && !Number.isFinite(value)))
        return `it answered with no ${name === 'label' ? 'label' : `finite number as "${name}"`}`;
  return undefined;
}

const alike = (a: ReadonlyMap<string, TensorData>, b: ReadonlyMap<string, TensorData>): boolean =>
  a.size === b.size &&
  [...a].every(([name, values]) =>
    values.every((value: unknown, row: number) => Object.is(value, b.get(name)?.[row])),
  );
