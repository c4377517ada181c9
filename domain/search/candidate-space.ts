import type { Candidate, TrainerName } from '../../contracts/spec/candidates.ts';
import type { SearchSpace } from '../../contracts/spec/search.ts';

/** The default space of each trainer that comes with Perennial. */
export type Spaces = (trainer: TrainerName) => SearchSpace;

/** What is searched of a candidate: its own space or its trainer's, without the parameters that it fixes. */
export function spaceOf(candidate: Candidate, spaces: Spaces): SearchSpace {
  if (candidate.search === false) return {};
  const shipped = candidate.trainer !== 'command' && candidate.trainer !== 'activity';
  const space = candidate.search.space ?? (shipped ? spaces(candidate.trainer) : {});
  return Object.fromEntries(Object.entries(space).filter(([name]) => !(name in candidate.parameters)));
}
