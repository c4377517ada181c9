import type { Candidate, TrainerName } from '../../contracts/spec/candidates.ts';
import type { Dimension, SearchSpace } from '../../contracts/spec/search.ts';
import { fits } from './space.ts';

/** The default space of each trainer that comes with Perennial. */
export type Spaces = (trainer: TrainerName) => SearchSpace;

/**
 * What is searched of a candidate: its own space or its trainer's, without the parameters that it fixes, and without
 * those whose conditions these rule out.
 */
export function spaceOf(candidate: Candidate, spaces: Spaces): SearchSpace {
  if (candidate.search === false) return {};
  const shipped = candidate.trainer !== 'command' && candidate.trainer !== 'activity';
  const space = candidate.search.space ?? (shipped ? spaces(candidate.trainer) : {});
  const fixed = candidate.parameters;
  return Object.fromEntries(
    Object.entries(space).flatMap(([name, dimension]): [string, Dimension][] => {
      const { when = {}, ...free } = dimension;
      const conditions = Object.entries(when);
      if (name in fixed || conditions.some(([of, wanted]) => of in fixed && !fits(fixed[of], wanted)))
        return [];
      const open = conditions.filter(([of]) => !(of in fixed));
      return [[name, open.length > 0 ? { ...free, when: Object.fromEntries(open) } : free]];
    }),
  );
}
