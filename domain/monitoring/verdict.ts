import type { CheckState, Verdict } from '../../contracts/monitoring.ts';
import type { CheckName } from '../../contracts/spec/monitoring.ts';
import { countText } from '../rollout/guards/words.ts';

const LONGEST_NAME = 200;
const LONGEST_WORDS = 1_000;

/** A text that is cut off where it is too long for a report. */
export const clipped = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

/** A verdict with what most of them leave empty. */
export function verdictOf(
  check: CheckName,
  state: CheckState,
  rows: number,
  words: string,
  more: Partial<Pick<Verdict, 'of' | 'slice' | 'observed' | 'limit' | 'interval'>> = {},
): Verdict {
  const { of = '', slice = null, observed = null, limit = null, interval = null } = more;
  return {
    check,
    of: clipped(of, LONGEST_NAME),
    slice: slice === null ? null : clipped(slice, LONGEST_NAME),
    state,
    observed,
    limit,
    interval,
    rows,
    words: clipped(words, LONGEST_WORDS),
  };
}

/** `120 rows, at least 200 are needed` */
export const tooFew = (what: 'rows' | 'labels' | 'requests', count: number, needed: number): string =>
  `${countText(count)} ${what}, at least ${countText(needed)} are needed`;

/** Why there is no figure though there are rows enough. */
export const NOT_COMPUTED = 'was not computed; the warnings of the report say why';
