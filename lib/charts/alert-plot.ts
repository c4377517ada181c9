import type { TrendWindow, WindowSummary } from '../../contracts/monitoring.ts';
import type { CheckName } from '../../contracts/spec/monitoring.ts';
import { measureOf } from '../../domain/monitoring/measures.ts';
import { BLUE, COLORS, ORANGE } from './colors.ts';
import { type TimePoint, type Tones, timeChartSvg } from './lines.ts';

/** What of a window is drawn over time. */
export type TrendEntry = Pick<TrendWindow, 'window' | 'labelled' | 'measures'>;

/** Windows that are drawn: an alert is about what happened lately. */
const MOST_WINDOWS = 90;

/** A picture goes to mail and chat, which know nothing of themes. */
const TONES: Tones = {
  ink: '#1d2733',
  soft: '#5c6b7a',
  grid: '#e2e8ee',
  paper: '#ffffff',
  first: BLUE,
  second: ORANGE,
  third: COLORS[2],
  bad: '#b3391c',
};

/** What {@link alertPlot} draws beside the measure. */
export interface AlertPlotOptions {
  /** Default: the name of the measure. */
  title?: string;
  /** Beyond it the alert is raised. */
  limit?: number | null;
}

/**
 * One measure over the latest 90 windows, as an SVG of less than 60 kB that stands alone: with its interval where it has
 * one, and the limit.
 *
 * @param trend the oldest first
 * @param measure a name of `measuresOf`, such as `quality.roc_auc`
 * @returns a picture that says so where no window has the measure
 */
export function alertPlot(
  trend: readonly TrendEntry[],
  measure: string,
  { title = measure, limit = null }: AlertPlotOptions = {},
): string {
  const points = trend.slice(-MOST_WINDOWS).map((entry) => trendPoint(entry, measure));
  const isKnown = points.some(({ value }) => value !== null);
  const svg = timeChartSvg(
    {
      title: isKnown ? title : `${title}: not known yet`,
      lines: [{ name: measure, tone: 'first', points }],
      levels: limit === null ? [] : [{ value: limit, name: 'limit', bad: true }],
    },
    TONES,
  ).text;
  return svg.replace('<text', `<rect width="100%" height="100%" fill="${TONES.paper}"></rect><text`);
}

/** Where a measure stood in a window; quality belongs to the window whose truth was known. */
export function trendPoint({ window, labelled, measures }: TrendEntry, measure: string): TimePoint {
  const isLate = /^(quality|labels)\b/.test(measure);
  return {
    at: Date.parse(isLate ? (labelled ?? window).from : window.from),
    value: measures[measure] ?? null,
    low: measures[`${measure}.low`],
    high: measures[`${measure}.high`],
  };
}

/** What is looked at first where several checks are beyond their limits. */
const ORDER: readonly CheckName[] = [
  'quality',
  'estimated-quality',
  'operations',
  'skew',
  'feature-parity',
  'prediction-drift',
  'concept-drift',
  'data-drift',
  'label-drift',
  'multivariate-drift',
  'domain-classifier',
];

/**
 * The trend of what is worst in a window.
 *
 * @param trend the oldest first; its last window is this one
 * @returns `null` where nothing is beyond a limit, or no figure of what is has been kept
 */
export function worstPlot(
  trend: readonly TrendEntry[],
  { verdicts }: Pick<WindowSummary, 'verdicts'>,
): string | null {
  const measures = trend.at(-1)?.measures ?? {};
  const [worst] = verdicts
    .filter((verdict) => verdict.state === 'breached' && measureOf(verdict) in measures)
    .sort(
      (a, b) =>
        Number(a.slice !== null) - Number(b.slice !== null) ||
        ORDER.indexOf(a.check) - ORDER.indexOf(b.check),
    );
  if (!worst) return null;
  const { of, slice, limit } = worst;
  const about = [worst.check.replaceAll('-', ' '), of, slice && `where ${slice}`].filter(Boolean).join(' ');
  return alertPlot(trend, measureOf(worst), { title: about, limit });
}
