import type { DriftedColumn } from '../../contracts/monitoring.ts';
import type { DriftSpec } from '../../contracts/spec/monitoring.ts';
import { figure, shareText } from '../rollout/guards/words.ts';

/** A column whose drift is not decided yet. */
export type ComparedWithReference = Omit<DriftedColumn, 'drifted'>;

/** Values of a column on either side below which its distribution says nothing: a few always differ. */
const LEAST_VALUES = 30;

/**
 * What of a feature lies beyond the limits of `monitoring.drift`, in words with numbers; none where nothing does. The
 * distribution is judged where both sides have 30 values or more, missing values in any case.
 *
 * @example driftReasons(spec, column) // ['PSI 3.2, at most 0.2', '12 % in new categories, at most 5 %']
 */
export function driftReasons(spec: DriftSpec, column: ComparedWithReference): string[] {
  const { values, missing, psi, jensenShannon, wasserstein, adjustedPValue, newCategories } = column;
  const reasons: string[] = [];
  if (Math.min(values.reference, values.current) >= LEAST_VALUES) {
    if (psi !== null && psi > spec.psi) reasons.push(`PSI ${figure(psi)}, at most ${figure(spec.psi)}`);
    if (spec.jensenShannon !== undefined && jensenShannon !== null && jensenShannon > spec.jensenShannon)
      reasons.push(`Jensen-Shannon distance ${figure(jensenShannon)}, at most ${figure(spec.jensenShannon)}`);
    if (spec.wasserstein !== undefined && wasserstein !== null && wasserstein > spec.wasserstein)
      reasons.push(
        `Wasserstein distance ${figure(wasserstein)} deviations, at most ${figure(spec.wasserstein)}`,
      );
    if (spec.alpha !== undefined && adjustedPValue !== null && adjustedPValue < spec.alpha)
      reasons.push(
        `${column.ks ? 'Kolmogorov-Smirnov' : 'chi-square'} p ${figure(adjustedPValue)}, at least ${figure(spec.alpha)}`,
      );
    if (newCategories !== null && newCategories.share > spec.newCategories)
      reasons.push(
        `${shareText(newCategories.share)} in new categories, at most ${shareText(spec.newCategories)}`,
      );
  }
  if (Math.abs(missing.current - missing.reference) > spec.missing)
    reasons.push(
      `${shareText(missing.current)} missing against ${shareText(missing.reference)}, at most ${shareText(spec.missing)} apart`,
    );
  return reasons;
}

/** Whether a feature is beyond one of the limits of `monitoring.drift`. */
export const hasDrifted = (spec: DriftSpec, column: ComparedWithReference): boolean =>
  driftReasons(spec, column).length > 0;

/** The most drifted first: those beyond a limit, then by population stability index, then by name. */
export const byDrift = (a: DriftedColumn, b: DriftedColumn): number =>
  Number(b.drifted) - Number(a.drifted) ||
  (b.psi ?? -1) - (a.psi ?? -1) ||
  (a.name < b.name ? -1 : Number(a.name > b.name));
