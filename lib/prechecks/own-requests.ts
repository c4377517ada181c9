import type { DeploymentSpec } from '../../contracts/spec/deployment.ts';
import type { CandidateClient, RawRequest } from './candidate-client.ts';
import { refusedBy, refuses } from './refusal.ts';
import { type Cell, DATATYPES, type Row } from './tensor-body.ts';

type OwnRequest = DeploymentSpec['precheck']['requests'][number];

/**
 * Sends the rows of the spec, each as a request of its own, and looks whether what must come of them comes.
 *
 * @returns how many there were
 * @throws PerennialError `PrecheckFailed` that names the request by its place, and no value of its row
 */
export async function checkOwnRequests(
  client: CandidateClient,
  requests: readonly OwnRequest[],
  tolerance: number,
): Promise<number> {
  for (const [place, own] of requests.entries()) {
    const what = `deployment.precheck.requests[${place}]`;
    const answer = await client.send(requestOf(client, own.row));
    const refused = answer.status >= 400 && answer.status < 500;
    if (own.refused) {
      if (!refused)
        throw refuses(
          client,
          `${what} must be refused, and was answered with ${answer.status}; correct the request, or the columns of the pipeline`,
        );
      continue;
    }
    if (!answer.outputs) throw refusedBy(client, what, answer, 'correct the request, or mark it refused');
    for (const [name, expected] of Object.entries(own.expect ?? {})) {
      const value = answer.outputs.get(name)?.[0];
      if (value === undefined)
        throw refuses(
          client,
          `${what} expects the output "${name}"; it has ${[...answer.outputs.keys()].join(', ')}`,
        );
      if (typeof expected === 'string' || typeof value !== 'number') {
        if (String(value) !== String(expected))
          throw refuses(
            client,
            `${what} expects ${JSON.stringify(expected)} as "${name}", and got ${JSON.stringify(value)}; correct what is expected, or do not deploy this version`,
          );
      } else if (!(Math.abs(value - expected) <= tolerance))
        throw refuses(
          client,
          `${what} expects ${expected} as "${name}", and got ${value}; allowed difference ${tolerance} (deployment.precheck.tolerance)`,
        );
    }
  }
  return requests.length;
}

/** The row as it stands, also where it does not fit the model: whether it is taken is the question. */
function requestOf({ address }: CandidateClient, row: Row): RawRequest {
  const kinds = new Map(address.model.signature.inputs.map(({ name, kind }) => [name, kind]));
  return {
    body: JSON.stringify({
      inputs: Object.entries(row).map(([name, value]) => {
        const kind = kinds.get(name);
        return {
          name,
          shape: [1],
          datatype: datatypeOf(kind && DATATYPES[kind], kind, value),
          data: [value],
        };
      }),
    }),
  };
}

/** As a client would: by the model's metadata, where the value allows it, else by the value. */
function datatypeOf(usual: string | undefined, kind: string | undefined, value: Cell): string {
  if (typeof value === 'string' && kind === 'datetime') return 'BYTES';
  if (typeof value === 'boolean' && kind === 'boolean') return 'BOOL';
  if (usual !== undefined) return usual;
  if (typeof value === 'string') return 'BYTES';
  return typeof value === 'boolean' ? 'BOOL' : 'FP64';
}
