import type { SampleSet } from '../../contracts/samples.ts';
import type { CandidateClient, RawRequest } from './candidate-client.ts';
import { refusedBy, refuses } from './refusal.ts';
import { binaryRequest, jsonRequest, type Row, type TensorData } from './tensor-body.ts';

/** Rows of one request: fewer than any server refuses. */
const ROWS_AT_ONCE = 100;

/** How the server's answers compare with those of the evaluation. */
export interface TestRowsFinding {
  readonly rows: number;
  /** The largest absolute difference of any numeric output. */
  readonly maxDifference: number;
  /** Whether no bit differs. */
  readonly exact: boolean;
}

/**
 * Asks the server for the rows of the test split, by binary tensors, and compares its answers with those that the
 * evaluation has on record; the first of them are asked for in JSON as well, as most clients do.
 *
 * @throws PerennialError `PrecheckFailed` where they differ by more than the tolerance, or are missing
 */
export async function checkTestRows(
  client: CandidateClient,
  samples: SampleSet,
  limits: { rows: number; tolerance: number },
): Promise<TestRowsFinding> {
  const rows = samples.rows.slice(0, limits.rows);
  const { signature } = client.address.model;
  let maxDifference = 0;
  let exact = true;
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
    const some = rows.slice(from, from + ROWS_AT_ONCE);
    const requests = [binaryRequest(signature, some), ...(from === 0 ? [jsonRequest(signature, some)] : [])];
    for (const request of requests) {
      const outputs = await answersTo(client, request, some);
      for (const [name, expected] of Object.entries(samples.expected)) {
        const values = outputs.get(name);
        if (values?.length !== some.length)
          throw refuses(
            client,
            `it does not give the output "${name}" for each row; register the model again`,
          );
        const found = differenceOf(values, expected.slice(from, from + some.length));
        maxDifference = Math.max(maxDifference, found.largest);
        exact &&= found.exact;
      }
    }
  }
  if (!(maxDifference <= limits.tolerance))
    throw refuses(
      client,
      `it answers otherwise than the evaluation: largest difference ${maxDifference} in ${rows.length} rows of the test split, allowed ${limits.tolerance} (deployment.precheck.tolerance). The graph, its preprocessing or the engine is not what was evaluated: run the pipeline again, and compare the versions of onnxruntime`,
    );
  return { rows: rows.length, maxDifference, exact };
}

async function answersTo(
  client: CandidateClient,
  request: RawRequest,
  rows: readonly Row[],
): Promise<ReadonlyMap<string, TensorData>> {
  const answer = await client.send(request);
  if (answer.outputs) return answer.outputs;
  throw refusedBy(client, `${rows.length} rows of the test split`, answer, 'look into the server’s log');
}

/** What is no number is infinitely far from any, also from another such. */
function differenceOf(values: TensorData, expected: readonly number[]): { largest: number; exact: boolean } {
  let largest = 0;
  let exact = true;
  for (const [row, value] of values.entries()) {
    const wanted = expected[row] ?? Number.NaN;
    const difference = typeof value === 'number' ? Math.abs(value - wanted) : Number.NaN;
    if (value !== wanted) exact = false;
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return { largest, exact };
}
