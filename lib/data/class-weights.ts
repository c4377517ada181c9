import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import type { TrainingSpec } from '../../contracts/spec/training.ts';

/**
 * How much a row of each class counts in training, in the order of the classes. `balanced` makes all classes that occur
 * count the same: rows / (classes · rows of the class), as scikit-learn has it; where rows count differently already,
 * their weights take the place of their number, as there.
 *
 * @param labels class indices of the training rows `[n]`
 * @param weights how much each of them counts besides `[n]`; default: 1
 * @returns a factor for each class; for validation rows the same ones are used, so that early stopping watches what the
 *   training minimises
 * @throws PerennialError `SpecInvalid` where the spec names a class that is none
 * @example
 * const factors = classFactors('balanced', ['no', 'yes'], Int32Array.of(0, 0, 0, 1)); // [0.667, 2]
 * const weights = rowWeights(factors, labels);
 */
export function classFactors(
  spec: NonNullable<TrainingSpec['classWeights']>,
  classNames: readonly string[],
  labels: Int32Array,
  weights?: Float32Array,
): number[] {
  if (spec !== 'balanced') {
    const stranger = Object.keys(spec).find((name) => !classNames.includes(name));
    if (stranger !== undefined) throw unknownClass(stranger, classNames);
    return classNames.map((name) => (Object.hasOwn(spec, name) ? (spec[name] ?? 1) : 1));
  }
  const counts = new Float64Array(classNames.length);
  for (const [row, label] of labels.entries()) counts[label] = (counts[label] ?? 0) + (weights?.[row] ?? 1);
  const occurring = counts.filter((count) => count > 0).length;
  const whole = counts.reduce((sum, count) => sum + count, 0);
  return Array.from(counts, (count) => (count > 0 ? whole / (occurring * count) : 1));
}

/** The factor of each row's class times what it counts besides, `[n]`: the weights of a trainer's request. */
export function rowWeights(
  factors: readonly number[],
  labels: Int32Array,
  weights?: Float32Array,
): Float32Array {
  return Float32Array.from(labels, (label, row) => (factors[label] ?? 1) * (weights?.[row] ?? 1));
}

function unknownClass(name: string, classNames: readonly string[]): PerennialError {
  const hint = nearest(name, classNames);
  return new PerennialError(
    'SpecInvalid',
    `training.classWeights: there is no class ${name}${hint ? `; did you mean ${hint}?` : '.'} The classes are ${classNames.slice(0, 40).join(', ')}${classNames.length > 40 ? ', …' : ''}`,
  );
}
