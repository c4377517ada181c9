import { PerennialError } from '../contracts/errors.ts';
import { type Candidate, presetOf } from '../contracts/spec/candidates.ts';
import type { FeaturePreset } from '../contracts/spec/features.ts';
import type { PreparedFeatures, PrepareOutput } from '../contracts/stages.ts';

/** The presets that some candidates need, each once. */
export function presetsOf(candidates: readonly Candidate[]): FeaturePreset[] {
  return [...new Set(candidates.map(presetOf))];
}

/**
 * The features of one preset.
 *
 * @throws PerennialError `FeatureInvalid` where none were prepared
 */
export function preparedFor(prepared: PrepareOutput, preset: FeaturePreset): PreparedFeatures {
  const features = prepared.variants[preset];
  if (features) return features;
  throw new PerennialError(
    'FeatureInvalid',
    `No features were prepared for trainers that take them as ${preset}; run stage prepare again with these candidates.`,
  );
}
