import { PerennialError } from '../../contracts/errors.ts';
import { RequestError } from '../request-error.ts';

/** Which protocol's words an answer uses: the Open Inference Protocol's, or those of MLflow's scoring server. */
export type Protocol = 'v2' | 'mlflow';

/** An HTTP answer to a failed request. */
export interface Failure {
  readonly status: number;
  readonly message: string;
  /** Whole seconds after which to come again. */
  readonly retryAfter?: number | undefined;
}

/** MLflow's names of error codes, by HTTP status. */
const MLFLOW_CODES: Readonly<Record<number, string>> = {
  400: 'BAD_REQUEST',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'RESOURCE_DOES_NOT_EXIST',
  413: 'REQUEST_LIMIT_EXCEEDED',
  415: 'BAD_REQUEST',
  429: 'RESOURCE_EXHAUSTED',
  503: 'TEMPORARILY_UNAVAILABLE',
};

/**
 * Status and message for whatever was thrown while a request was handled. What is not the client's doing becomes a
 * 500 that tells nothing of the inside.
 *
 * @param bodyLimit bytes, for the message
 */
export function failureOf(error: unknown, bodyLimit: number): Failure {
  if (error instanceof RequestError) {
    const { status, message, retryAfterSeconds = 1 } = error;
    const passes = status === 429 || status === 503;
    return { status, message, retryAfter: passes ? Math.max(1, Math.ceil(retryAfterSeconds)) : undefined };
  }
  const status = clientStatus(error);
  switch (status) {
    case 413:
      return {
        status,
        message: `the body is larger than ${bodyLimit} bytes; send several requests, or use batch scoring`,
      };
    case 415:
      return { status, message: 'only JSON is read; send the header "Content-Type: application/json"' };
    case undefined:
      return {
        status: 500,
        message:
          error instanceof PerennialError
            ? error.message
            : 'the server failed on this request; its log has the reason',
      };
    default:
      return { status, message: 'the HTTP request is malformed; check its path, headers and length' };
  }
}

/** The body of an error answer. */
export function failureBody(protocol: Protocol, { status, message }: Failure): Record<string, string> {
  if (protocol === 'v2') return { error: message };
  return { error_code: MLFLOW_CODES[status] ?? (status < 500 ? 'BAD_REQUEST' : 'INTERNAL_ERROR'), message };
}

/** The 4xx that the HTTP framework itself gives a request, for example for a body that is too large. */
function clientStatus(error: unknown): number | undefined {
  if (!(error instanceof Error && 'statusCode' in error)) return undefined;
  const { statusCode } = error;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : undefined;
}
