import type { Dimension, Parameters, ParameterValue, SearchSpace } from '../../contracts/spec/search.ts';

/** What a condition asks of a parameter: a value, or one of several. */
type Condition = NonNullable<Dimension['when']>[string];

/** Whether a value is what a condition names. */
export const fits = (value: unknown, wanted: Condition): boolean =>
  Array.isArray(wanted) ? wanted.some((one) => one === value) : wanted === value;

/** Whether the conditions under which a parameter is searched hold for the parameters before it. */
const applies = ({ when = {} }: Dimension, chosen: Parameters): boolean =>
  Object.entries(when).every(([name, wanted]) => fits(chosen[name], wanted));

/** One value at a place between 0 and 1 of the dimension. */
function valueAt(dimension: Dimension, place: number): ParameterValue {
  if ('choice' in dimension) {
    const { choice } = dimension;
    return choice[Math.min(choice.length - 1, Math.floor(place * choice.length))] ?? false;
  }
  const [low, high] = 'float' in dimension ? dimension.float : dimension.int;
  if ('float' in dimension) return dimension.log ? low * (high / low) ** place : low + (high - low) * place;
  if (dimension.log) {
    // Each whole number has the share of the logarithmic scale that rounds to it.
    const value = Math.round((low - 0.5) * ((high + 0.5) / (low - 0.5)) ** place);
    return Math.min(high, Math.max(low, value));
  }
  const step = dimension.step ?? 1;
  const count = Math.floor((high - low) / step) + 1;
  return low + step * Math.min(count - 1, Math.floor(place * count));
}

/**
 * Parameters drawn from a space; those whose conditions do not hold are left out.
 *
 * @param random uniform numbers in [0, 1)
 */
export function drawn(space: SearchSpace, random: () => number): Parameters {
  const chosen: Parameters = {};
  for (const [name, dimension] of Object.entries(space)) {
    // Drawn in any case, so that a condition does not move the parameters after it.
    const place = random();
    if (applies(dimension, chosen)) chosen[name] = valueAt(dimension, place);
  }
  return chosen;
}

/** The values of a dimension in a grid: evenly spaced, both ends among them; each once. */
function gridValues(dimension: Dimension, points: number): ParameterValue[] {
  if ('choice' in dimension) return dimension.choice;
  if ('float' in dimension)
    return Array.from({ length: points }, (_, i) => valueAt(dimension, i / (points - 1)));
  const [low, high] = dimension.int;
  const step = dimension.step ?? 1;
  const last = Math.floor((high - low) / step);
  const count = Math.min(points, last + 1);
  const values = Array.from({ length: count }, (_, i) => {
    const place = count === 1 ? 0 : i / (count - 1);
    return dimension.log ? Math.round(low * (high / low) ** place) : low + step * Math.round(place * last);
  });
  return [...new Set(values)];
}

/**
 * All combinations of a grid in order, the last parameter running fastest. Parameters whose conditions do not hold make
 * no combinations of their own.
 *
 * @param most combinations that are given at the most
 */
export function grid(space: SearchSpace, points: number, most: number): Parameters[] {
  const dimensions = Object.entries(space);
  const all: Parameters[] = [];
  const walk = (depth: number, chosen: Parameters): void => {
    if (all.length >= most) return;
    const [name, dimension] = dimensions[depth] ?? [];
    if (name === undefined || dimension === undefined) all.push(chosen);
    else if (!applies(dimension, chosen)) walk(depth + 1, chosen);
    else for (const value of gridValues(dimension, points)) walk(depth + 1, { ...chosen, [name]: value });
  };
  walk(0, {});
  return all;
}
