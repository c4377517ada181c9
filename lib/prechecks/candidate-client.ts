import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { readBinary, type TensorData } from './tensor-body.ts';

/** A version on one server, which is to be asked as a client would. */
export interface CandidateAddress {
  readonly serverId: string;
  /** Where the server listens, for example `http://127.0.0.1:41873`. */
  readonly url: string;
  /** A bearer token that may ask for candidates, where the server asks for one. */
  readonly token?: string | undefined;
  readonly endpoint: string;
  readonly model: ServedModel;
}

/** A request as it is sent, sound or not. */
export interface RawRequest {
  readonly body: string | Uint8Array<ArrayBuffer>;
  /** Beside the credentials; default `content-type: application/json`. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Another version than the candidate. */
  readonly version?: string | undefined;
  /** Default `POST`. */
  readonly method?: string | undefined;
}

export interface RawAnswer {
  readonly status: number;
  /** The answer's outputs by their names, where its status is 200 and it is one. */
  readonly outputs: ReadonlyMap<string, TensorData> | undefined;
  /** The beginning of the answer, for messages; it holds no value out of the request. */
  readonly words: string;
}

const MOST_WORDS = 500;
/** Longer than any deadline of an endpoint without routes: silence counts as a failure. */
const SILENCE_MS = 60_000;

const answer = z.object({
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.string(),
      data: z.array(z.union([z.number(), z.string(), z.null()])).optional(),
      parameters: z.object({ binary_data_size: z.number().int().nonnegative().optional() }).optional(),
    }),
  ),
});

/** Asks one version of an endpoint over HTTP, in the words of the Open Inference Protocol. */
export class CandidateClient {
  constructor(
    readonly address: CandidateAddress,
    private readonly signal: AbortSignal,
  ) {}

  /**
   * Sends a request and takes whatever comes.
   *
   * @throws PerennialError `PrecheckFailed` where nothing comes
   */
  async send({
    body,
    headers = { 'content-type': 'application/json' },
    version,
    method = 'POST',
  }: RawRequest): Promise<RawAnswer> {
    const { url, endpoint, model, token, serverId } = this.address;
    const path = `/v2/models/${encodeURIComponent(endpoint)}/versions/${encodeURIComponent(version ?? model.version)}/infer`;
    try {
      const response = await fetch(url + path, {
        method,
        headers: { ...headers, ...(token ? { authorization: `Bearer ${token}` } : {}) },
        ...(method === 'GET' ? {} : { body }),
        signal: AbortSignal.any([this.signal, AbortSignal.timeout(SILENCE_MS)]),
      });
      const bytes = Buffer.from(await response.arrayBuffer());
      const jsonLength = response.headers.get('inference-header-content-length');
      const json = jsonLength === null ? bytes : bytes.subarray(0, Number(jsonLength));
      return {
        status: response.status,
        outputs: response.status === 200 ? outputsOf(json, bytes.subarray(json.length)) : undefined,
        words: json.subarray(0, MOST_WORDS).toString('utf8'),
      };
    } catch (error) {
      this.signal.throwIfAborted();
      // Not the error's own words: they may quote the address with its credentials.
      const reason = error instanceof Error ? error.name : 'unknown';
      throw new PerennialError(
        'PrecheckFailed',
        `server ${serverId} gave no answer to a request for version ${model.version} of ${endpoint} (${reason}); look into its log`,
      );
    }
  }
}

function outputsOf(json: Buffer, bytes: Buffer): ReadonlyMap<string, TensorData> | undefined {
  const parsed = answer.safeParse(jsonOf(json));
  if (!parsed.success) return undefined;
  const outputs = new Map<string, TensorData>();
  let at = 0;
  for (const { name, datatype, data, parameters } of parsed.data.outputs) {
    const size = parameters?.binary_data_size;
    const values = size === undefined ? data : readBinary(datatype, bytes.subarray(at, at + size));
    if (values === undefined) return undefined;
    outputs.set(name, values);
    at += size ?? 0;
  }
  return outputs;
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
