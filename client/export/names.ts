import { PerennialError } from '../../contracts/errors.ts';

/** As long as a Kubernetes name may be with the suffixes that are put behind it. */
const LONGEST = 50;

/**
 * An endpoint's name as Kubernetes and npm take it (RFC 1035): a letter first, no hyphen at the end.
 *
 * @example
 * resourceName('flights-delay') // flights-delay
 * resourceName('2024') // model-2024
 */
export const resourceName = (endpoint: string): string =>
  (/^[a-z]/.test(endpoint) ? endpoint : `model-${endpoint}`).slice(0, LONGEST).replace(/-+$/, '');

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
