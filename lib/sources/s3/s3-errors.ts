import { PerennialError } from '../../../contracts/errors.ts';
import { AddressDenied } from '../addresses.ts';
import { type HostPort, privateAddress } from '../hosts.ts';
import { causeOf, certificateRefused, networkWords, unavailable } from '../source-errors.ts';

const WRONG_REGION =
  /^(PermanentRedirect|Redirect|AuthorizationHeaderMalformed|IllegalLocationConstraint.*|301)$/;
const DENIED =
  /^(AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|XAdmin.*User.*)$/;
const PASSING = /^(SlowDown|ServiceUnavailable|InternalError|RequestTimeout|TimeoutError|Throttling.*)$/;

/** An error of the AWS SDK in plain words. */
export function s3Error(where: string, place: HostPort, error: unknown): unknown {
  if (error instanceof PerennialError || !(error instanceof Error)) return error;
  if (causeOf(error, AddressDenied)) return privateAddress(where, place);
  const refused = certificateRefused(where, place.hostname, error);
  if (refused) return refused;
  const status = statusOf(error) ?? 0;
  // An answer to HEAD has no body, and so no name.
  const name = /^(Error|UnknownError|Unknown)$/.test(error.name) ? String(status) : error.name;
  if (name === 'NoSuchBucket' || name === 'InvalidBucketName')
    return new PerennialError('SourceNotFound', `${where}: there is no such bucket`);
  if (WRONG_REGION.test(name) || status === 301)
    return new PerennialError(
      'SourceDenied',
      `${where}: the bucket lies in another region; set region of the source`,
    );
  if (name === 'CredentialsProviderError')
    return new PerennialError(
      'SourceDenied',
      `${where}: there are no credentials; set credentials of the source, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY on the worker`,
    );
  if (DENIED.test(name) || status === 400 || status === 401 || status === 403)
    return new PerennialError(
      'SourceDenied',
      `${where}: the store refuses the request (${name}); look at credentials and region of the source, or those of the worker`,
    );
  if (status === 404)
    return new PerennialError('SourceNotFound', `${where}: there is no such object or bucket`);
  if (status === 412) return unavailable(where, 'an object changed while it was read');
  if (PASSING.test(name) || status >= 500 || status === 429)
    return unavailable(where, `the store answers ${name}`);
  const words = networkWords(error);
  return words === undefined ? error : unavailable(where, words);
}

function statusOf(error: Error): number | undefined {
  const metadata: unknown = Reflect.get(error, '$metadata');
  const status: unknown =
    typeof metadata === 'object' && metadata !== null ? Reflect.get(metadata, 'httpStatusCode') : undefined;
  return typeof status === 'number' ? status : undefined;
}
