import { z } from 'zod';
import { MlflowError } from '../errors.ts';
import type { Deadline } from './deadline.ts';
import { isRetryableStatus, parseRetryAfter, provesUnsent } from './retry.ts';
import { redactUrl } from './url.ts';

/** What was being done and to which address; both are safe to show. */
export interface CallSite {
  /** For example `runs.get`. */
  readonly operation: string;
  /** For example `GET http://127.0.0.1:5000/api/2.0/mlflow/runs/get`. */
  readonly where: string;
  /** The caller's signal, to tell an abort from a timeout. */
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number;
}

/** An error together with whether it proves that nothing was sent. */
export interface Failure {
  readonly error: MlflowError;
  readonly unsent: boolean;
}

/** Finds the system error code however deep fetch has buried it. */
export function systemCode(error: unknown, depth = 0): string | undefined {
  if (depth > 5 || typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  if (error instanceof AggregateError) {
    for (const inner of error.errors) {
      const code = systemCode(inner, depth + 1);
      if (code !== undefined) return code;
    }
  }
  return 'cause' in error ? systemCode(error.cause, depth + 1) : undefined;
}

/** An error of our own thrown inside a request body comes back wrapped by fetch. */
function ownError(error: unknown, depth = 0): MlflowError | undefined {
  if (error instanceof MlflowError) return error;
  if (depth > 5 || !(error instanceof Error)) return undefined;
  return ownError(error.cause, depth + 1);
}

/** The caller ended the call. */
export function abortedError(site: CallSite): MlflowError {
  return new MlflowError({
    code: 'aborted',
    message: `MLflow ${site.operation} was aborted by the caller (${site.where})`,
    cause: site.signal?.reason,
  });
}

/** Turns whatever `fetch` or a body reader threw into a typed failure. */
export function transportFailure(thrown: unknown, site: CallSite, deadline: Deadline): Failure {
  const own = ownError(thrown);
  if (own !== undefined) return { error: own, unsent: false };
  if (deadline.expired) {
    const message = `MLflow ${site.operation} timed out: nothing heard for ${site.timeoutMs} ms (${site.where})`;
    // Node's own wording may hold the URL with its query; it is kept out of the message on purpose.
    return { error: new MlflowError({ code: 'timeout', message, retryable: true }), unsent: false };
  }
  if (site.signal?.aborted === true) return { error: abortedError(site), unsent: false };
  const code = systemCode(thrown);
  const why = code ?? 'no system error code';
  const error = new MlflowError({
    code: 'network',
    message: `MLflow ${site.operation} got no answer: ${why} (${site.where})`,
    retryable: true,
    cause: thrown,
  });
  return { error, unsent: provesUnsent(code) };
}

const errorBody = z.object({
  error_code: z.union([z.string(), z.number()]).optional(),
  message: z.string().optional(),
});

function parseErrorBody(text: string): { errorCode?: string; message?: string } {
  try {
    const parsed = errorBody.safeParse(JSON.parse(text));
    if (!parsed.success) return {};
    const { error_code: code, message } = parsed.data;
    return {
      ...(code === undefined ? {} : { errorCode: String(code) }),
      ...(message === undefined ? {} : { message }),
    };
  } catch {
    return {};
  }
}

/** First words of a body that is not MLflow's JSON: enough to recognise a proxy's page. */
function snippet(text: string): string {
  const plain = text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
  return plain.length > 200 ? `${plain.slice(0, 200)}…` : plain;
}

/**
 * Two calls wrote the same row at once, and the database let in one of them: what SQLite, PostgreSQL, MySQL and SQL Server
 * say of it, which MLflow passes on as `BAD_REQUEST`. A repeated call finds the row. (A name that is taken is another code.)
 */
const WRITTEN_AT_ONCE =
  /UNIQUE constraint failed|UniqueViolation|Duplicate entry|Cannot insert duplicate key/;

/** SQLAlchemy tells the statement and all that was to be written, after what went wrong. */
const withoutStatement = (message: string): string => message.replace(/\n\[SQL: [\s\S]*$/, '');

/** Builds the error for an answer with an error status (or an unexpected redirect). */
export function statusError(response: Response, body: string, site: CallSite): MlflowError {
  const { errorCode, message } = parseErrorBody(body);
  const location = response.headers.get('location');
  let said = message === undefined ? snippet(body) : withoutStatement(message);
  if (location !== null && response.status < 400) {
    said = `redirected to ${redactUrl(new URL(location, 'http://invalid').href)}; set trackingUri to the final address`;
  }
  const head = `MLflow ${site.operation} failed: ${response.status}${errorCode === undefined ? '' : ` ${errorCode}`}`;
  // MLflow answers 503 for features that are switched off; waiting does not switch them on.
  const switchedOff = response.status === 503 && /disabled because/i.test(body);
  const writtenAtOnce = errorCode === 'BAD_REQUEST' && WRITTEN_AT_ONCE.test(said);
  return new MlflowError({
    code: 'http',
    message: `${head}${said === '' ? '' : `: ${said}`} (${site.where})`,
    status: response.status,
    errorCode,
    retryable: writtenAtOnce || (isRetryableStatus(response.status) && !switchedOff),
    retryAfterMs: parseRetryAfter(response.headers.get('retry-after')),
  });
}
