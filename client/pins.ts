import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import { source as sourceSchema } from '../contracts/spec/sources.ts';

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * A spec whose sources are pinned to snapshots of earlier runs: `perennial run --pin SOURCE=SHA256`.
 *
 * @param spec self-contained, as `loadSpec` gives it under `input`
 * @param pins `source=digest` each; the digest is that of a snapshot, see `perennial status RUN --json`
 * @throws PerennialError `InputInvalid`
 * @example withPins(input, ['flights=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'])
 */
export function withPins(spec: Record<string, unknown>, pins: readonly string[]): Record<string, unknown> {
  if (pins.length === 0) return spec;
  const data = isObject(spec.data) ? spec.data : {};
  const sources = isObject(data.sources) ? { ...data.sources } : {};
  for (const text of pins) {
    const [, name = '', pin = ''] = /^([^=]+)=([0-9a-f]{64})$/.exec(text) ?? [];
    if (pin === '')
      throw new PerennialError(
        'InputInvalid',
        `--pin: write SOURCE=SHA256, with the 64 hexadecimal digits of a snapshot of an earlier run`,
      );
    const written = sources[name];
    if (written === undefined) {
      const hint = nearest(name, Object.keys(sources));
      throw new PerennialError(
        'InputInvalid',
        `--pin: the spec has no source ${name}${hint ? `; did you mean ${hint}?` : ''}`,
      );
    }
    // A short form has no place for a pin.
    sources[name] = isObject(written) ? { ...written, pin } : { ...Object(sourceSchema.parse(written)), pin };
  }
  return { ...spec, data: { ...data, sources } };
}
