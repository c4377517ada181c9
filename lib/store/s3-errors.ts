import { S3ServiceException } from '@aws-sdk/client-s3';
import { PerennialError } from '../../contracts/errors.ts';

/** Errors of a service that pass. */
const PASSING = new Set([
  'SlowDown',
  'InternalError',
  'ServiceUnavailable',
  'RequestTimeout',
  'Throttling',
  'ThrottlingException',
  'TooManyRequestsException',
  'TimeoutError',
  'OperationAborted',
  'ExpiredToken',
]);

/** What to look at, by the kind of refusal. */
const REMEDIES: Record<string, string> = {
  NoSuchBucket: 'there is no such bucket; make it, or correct PERENNIAL_ARTIFACT_STORE',
  AccessDenied: 'these credentials may not do that; see docs/artifact-store.md for the permissions',
  InvalidAccessKeyId: 'the server does not know this access key; correct AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'the secret key is not right; correct AWS_SECRET_ACCESS_KEY',
  CredentialsProviderError:
    'no credentials are to be had; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role',
  PermanentRedirect: 'the bucket lies in another region; set AWS_REGION',
  AuthorizationHeaderMalformed: 'the bucket lies in another region; set AWS_REGION',
  IllegalLocationConstraintException: 'the bucket lies in another region; set AWS_REGION',
  RequestTimeTooSkewed: 'the clock of this machine is wrong',
  NotImplemented: 'this server does not support what the store needs; see docs/artifact-store.md',
};

const statusOf = (error: unknown): number | undefined =>
  error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error);

/** Whether S3 says that there is no such object. A missing bucket is another matter. */
export const isAbsent = (error: unknown): boolean =>
  nameOf(error) !== 'NoSuchBucket' && (statusOf(error) === 404 || nameOf(error) === 'NoSuchKey');

/** `undefined` where there is no such object; any other error is thrown. */
export const orAbsent = (error: unknown): undefined => {
  if (isAbsent(error)) return undefined;
  throw error;
};

/** Whether a conditional write was refused because of its condition. */
export const isConflict = (error: unknown): boolean =>
  statusOf(error) === 412 || statusOf(error) === 409 || nameOf(error) === 'PreconditionFailed';

/**
 * An error of S3 in our words; the server's own are left out, they may quote names of other people's objects.
 *
 * @param root where the store lies
 */
export function toStoreError(error: unknown, root: string): unknown {
  if (error instanceof PerennialError) return error;
  const status = statusOf(error);
  const name = nameOf(error);
  const code = error instanceof Error && 'code' in error ? ` ${String(error.code)}` : '';
  const refused =
    name in REMEDIES ||
    (status !== undefined && status >= 300 && status < 500 && status !== 429 && status !== 408);
  if (refused && !PASSING.has(name))
    return new PerennialError(
      'StoreRejected',
      `the artifact store at ${root} refused a request (${name}${status === undefined ? '' : `, ${status}`}): ${REMEDIES[name] ?? REMEDIES[status === 403 ? 'AccessDenied' : ''] ?? 'look at PERENNIAL_ARTIFACT_STORE and its endpoint'}`,
    );
  const damaged = error instanceof Error && error.message.startsWith('Checksum mismatch');
  if (status === undefined && !damaged && !isOfNetwork(error) && !PASSING.has(name)) return error;
  return new PerennialError(
    'StoreUnavailable',
    `the artifact store at ${root} cannot be reached or is overloaded (${damaged ? 'an answer was damaged' : name}${code}${status === undefined ? '' : `, ${status}`})`,
    true,
  );
}

const isOfNetwork = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  /^(E(CONN|PIPE|HOST|NET|TIMEDOUT|AI_AGAIN)|ENOTFOUND|EAI_AGAIN|ERR_(SSL|TLS|STREAM_PREMATURE)|UND_ERR)/.test(
    String(error.code),
  );
