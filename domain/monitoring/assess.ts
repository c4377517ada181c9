import type { Verdict, WindowReport, WindowSummary } from '../../contracts/monitoring.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { alertKey } from './alerts.ts';
import { conceptVerdicts, featureVerdicts, operationsVerdicts, skewVerdicts } from './behaviour-verdicts.ts';
import { dataVerdicts, labelVerdicts, predictionVerdicts } from './drift-verdicts.ts';
import { estimateVerdicts, qualityVerdicts } from './quality-verdicts.ts';
import { clipped } from './verdict.ts';

/** Verdicts that travel with a window. */
const MOST_VERDICTS = 200;
/** Characters of each: together they must fit into a payload. */
const LONGEST_WORDS = 300;

/**
 * What the checks of `monitoring` say of a window. A check that is turned off says nothing; one with too few rows or
 * labels says `insufficient`, never `ok`. Check, `of` and slice together are unique.
 */
export function assessWindow(settings: MonitoringSpec, report: Omit<WindowReport, 'verdicts'>): Verdict[] {
  return [
    ...dataVerdicts(settings, report),
    ...predictionVerdicts(settings, report),
    ...labelVerdicts(settings, report),
    ...skewVerdicts(settings, report),
    ...featureVerdicts(settings, report),
    ...conceptVerdicts(settings, report),
    ...qualityVerdicts(settings, report),
    ...estimateVerdicts(settings, report),
    ...operationsVerdicts(settings, report),
  ];
}

/**
 * How a window is, all in all: `breached` where anything is; else `insufficient` where a check of all rows is, or nothing
 * was judged; else `ok`. A slice without rows says nothing of the window.
 */
export function windowState(verdicts: readonly Verdict[]): WindowSummary['state'] {
  if (verdicts.some(({ state }) => state === 'breached')) return 'breached';
  if (verdicts.some(({ state, slice }) => state === 'insufficient' && slice === null)) return 'insufficient';
  return verdicts.some(({ state }) => state === 'ok') ? 'ok' : 'insufficient';
}

const PLACES = { breached: 0, insufficient: 1, ok: 1, unlimited: 3 } as const;
const place = ({ state, slice }: Verdict): number =>
  PLACES[state] + (slice !== null && state !== 'breached' ? 1 : 0);

/**
 * The verdicts that fit into a payload: the breached first, then those of which something is asked, all rows before
 * slices.
 *
 * @param open keys of the alerts that last: what is said of them travels before anything else, or an alert of a slice
 *   that is well again would stay open because nobody hears of it
 */
export function travellingVerdicts(
  verdicts: readonly Verdict[],
  open: ReadonlySet<string> = new Set(),
): Verdict[] {
  const byPlace = (a: Verdict, b: Verdict): number => place(a) - place(b);
  const waitedFor = (one: Verdict): number => (open.has(alertKey(one)) ? 0 : 1);
  return [...verdicts]
    .sort((a, b) => waitedFor(a) - waitedFor(b) || byPlace(a, b))
    .slice(0, MOST_VERDICTS)
    .sort(byPlace)
    .map((one) => ({ ...one, words: clipped(one.words, LONGEST_WORDS) }));
}
