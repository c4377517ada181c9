import { PerennialError } from '../../contracts/errors.ts';

/** As long as a Kubernetes name may be with the suffixes that are put behind it. */
const LONGEST = 50;

/**
 * A model's name as Kubernetes and npm take it (RFC 1035): small letters, digits and hyphens, a letter first.
 *
 * @example
 * resourceName('Flights Delay') // flights-delay
 * resourceName('2024') // model-2024
 */
export function resourceName(model: string): string {
  const words = model
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');
  const name = /^[a-z]/.test(words) ? words : `model-${words}`;
  return name.slice(0, LONGEST).replace(/-+$/, '');
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
