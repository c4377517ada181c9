import type { AttributionUnit } from '../../contracts/explanation.ts';

/** What answers are counted in, as pages and axes say it. */
export const UNIT_WORDS: Record<AttributionUnit, string> = {
  log_odds: 'log-odds',
  probability: 'probability',
  target: 'units of the target',
  score: 'score of the trees',
};
