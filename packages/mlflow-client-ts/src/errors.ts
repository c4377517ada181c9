/**
 * What kind of failure an {@link MlflowError} describes.
 *
 * - `http`: the server answered with an error status.
 * - `network`: no answer arrived (refused, reset, name not resolved).
 * - `timeout`: nothing was heard for longer than `timeoutMs`.
 * - `aborted`: the caller's `signal` ended the call.
 * - `invalid-argument`: refused before anything was sent.
 * - `invalid-response`: the server answered something this client cannot trust.
 */
export type MlflowErrorCode =
  | 'http'
  | 'network'
  | 'timeout'
  | 'aborted'
  | 'invalid-argument'
  | 'invalid-response';

/** Facts an {@link MlflowError} is built from. */
export interface MlflowErrorInit {
  /** Kind of failure. */
  code: MlflowErrorCode;
  /** What failed and where; must already be free of credentials. */
  message: string;
  /** HTTP status, when the server answered. */
  status?: number | undefined;
  /** MLflow's own error code, for example `RESOURCE_DOES_NOT_EXIST`. */
  errorCode?: string | undefined;
  /** Whether repeating the same call later may succeed. Default false. */
  retryable?: boolean;
  /** How long the server asked to wait, in milliseconds. */
  retryAfterMs?: number | undefined;
  /** Overrides {@link MlflowError.isNotFound} where MLflow's error code is misleading. */
  notFound?: boolean | undefined;
  /** Underlying error. */
  cause?: unknown;
}

const NOT_FOUND_CODES: ReadonlySet<string> = new Set(['RESOURCE_DOES_NOT_EXIST', 'NOT_FOUND']);
const EXISTS_CODES: ReadonlySet<string> = new Set(['RESOURCE_ALREADY_EXISTS', 'ALREADY_EXISTS']);

/**
 * The only error this package throws on purpose.
 *
 * @example
 * ```ts
 * try {
 *   await client.registeredModels.getByAlias({ name: 'churn', alias: 'champion' });
 * } catch (error) {
 *   if (error instanceof MlflowError && error.isNotFound) return undefined;
 *   throw error;
 * }
 * ```
 */
export class MlflowError extends Error {
  /** Kind of failure. */
  readonly code: MlflowErrorCode;
  /** HTTP status, or undefined when no answer arrived. */
  readonly status: number | undefined;
  /** MLflow's error code, or undefined when the answer carried none. */
  readonly errorCode: string | undefined;
  /** Whether repeating the same call later may succeed (429, most 5xx, network, timeout, a row written by two at once). */
  readonly retryable: boolean;
  /** Wait the server asked for (`Retry-After`), in milliseconds. */
  readonly retryAfterMs: number | undefined;
  /** True when the thing asked for does not exist (a missing alias included). */
  readonly isNotFound: boolean;

  constructor(init: MlflowErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = 'MlflowError';
    this.code = init.code;
    this.status = init.status;
    this.errorCode = init.errorCode;
    this.retryable = init.retryable ?? false;
    this.retryAfterMs = init.retryAfterMs;
    this.isNotFound = init.notFound ?? (init.errorCode !== undefined && NOT_FOUND_CODES.has(init.errorCode));
  }

  /** True when something of that name exists already. */
  get isAlreadyExists(): boolean {
    return this.errorCode !== undefined && EXISTS_CODES.has(this.errorCode);
  }

  /** True when credentials are missing, wrong (401) or not sufficient (403). */
  get isUnauthorized(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

/** Builds the error for an argument this client refuses to send. */
export function invalidArgument(message: string): MlflowError {
  return new MlflowError({ code: 'invalid-argument', message });
}
