import { createHash } from 'node:crypto';
import { PerennialError } from '../../contracts/errors.ts';

/** As long as a Kubernetes name may be with the suffixes that are put behind it. */
const LONGEST = 50;
/** Hexadecimal digits of the digest behind a name that had to be changed. */
const DIGITS = 8;

/**
 * A model's name as Kubernetes, npm and Docker take it (RFC 1035: small letters, digits and hyphens, a letter first, no
 * hyphen at the end). One that had to be changed or cut ends with a digest of what it was, so that two never become the
 * same.
 *
 * @example
 * resourceName('flights-delay') // flights-delay
 * resourceName('My model') // my-model-58ca028f
 */
export function resourceName(endpoint: string): string {
  const plain = endpoint.toLowerCase().replace(/[^a-z0-9-]+/g, '-');
  const name = /^[a-z]/.test(plain) ? plain : `model-${plain.replace(/^-+/, '')}`;
  if (name === endpoint && name.length <= LONGEST && !name.endsWith('-')) return name;
  const digest = createHash('sha256').update(endpoint).digest('hex').slice(0, DIGITS);
  return `${name.slice(0, LONGEST - DIGITS - 1).replace(/-+$/, '')}-${digest}`;
}

/** An image's name and tag or digest, as `docker build --tag` and `docker pull` take it. */
const IMAGE =
  /^[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/**
 * The image that the manifests name: the given one, or one made of model and version.
 *
 * @throws PerennialError `InputInvalid`
 */
export function imageName(given: string | undefined, model: string, version: string): string {
  if (given === undefined) return `${resourceName(model)}:${version}`;
  if (given.length <= 255 && IMAGE.test(given)) return given;
  throw new PerennialError(
    'InputInvalid',
    '--image is not the name of an image; expected for example registry.example.org/models/churn:3',
  );
}
