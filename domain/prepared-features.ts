import { PerennialError } from '../contracts/errors.ts';
import { PRESET_OF } from '../contracts/spec/candidates.ts';
import type { FeaturePreset } from '../contracts/spec/features.ts';
import type { PreparedFeatures, PrepareOutput } from '../contracts/stages.ts';

/** The presets that some candidates need, each once. */
export function presetsOf(candidates: readonly { trainer: keyof typeof PRESET_OF }[]): FeaturePreset[] {
  return [...new Set(candidates.map(({ trainer }) => PRESET_OF[trainer]))];
}

/**
 * The features that a trainer trains on.
 *
 * @throws PerennialError `FeatureInvalid` where none were prepared for it
 */
export function preparedFor(prepared: PrepareOutput, trainer: string): PreparedFeatures {
  const preset = Object.entries(PRESET_OF).find(([name]) => name === trainer)?.[1];
  const features = preset && prepared.variants[preset];
  if (features) return features;
  throw new PerennialError(
    'FeatureInvalid',
    `No features were prepared for the trainer ${trainer}; run stage prepare again with this candidate.`,
  );
}
