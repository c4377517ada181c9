import pc from 'picocolors';
import type { MonitorView } from '../contracts/monitor-questions.ts';
import type { TrendWindow, Verdict, WindowSummary } from '../contracts/monitoring.ts';
import { CHECKS, type CheckName } from '../contracts/spec/monitoring.ts';
import { columns } from './output.ts';
import { ageWords, staleFor } from './staleness.ts';

const BARS = '▁▂▃▄▅▆▇█';
/** Bars of a trend that fit beside the words. */
const WIDEST_TREND = 40;

/** To the minute; to the second where it matters. */
const minute = (at: string): string => at.slice(0, at.slice(17, 19) === '00' ? 16 : 19).replace('T', ' ');
const figure = (value: number): string => String(Number(value.toPrecision(4)));

/** The measure that stands for a check in its trend. */
const MEASURE: Readonly<Record<CheckName, RegExp>> = {
  'data-drift': /^drift\.share$/,
  'multivariate-drift': /^multivariate\.error$/,
  'domain-classifier': /^classifier\.roc_auc$/,
  'prediction-drift': /^predictions\.psi$/,
  'label-drift': /^labels\.psi$/,
  skew: /^skew\.share$/,
  'feature-parity': /^features\..*\.differing$/,
  'concept-drift': /^concept\.changes$/,
  quality: /^quality\./,
  'estimated-quality': /^estimated\./,
  operations: /^operations\.rows_per_second$/,
};

/** Values as bars between the least and the most of them; a gap where a window has none. */
export function sparkline(values: readonly (number | undefined)[]): string {
  const known = values.filter((value) => value !== undefined);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const bar = (value: number): string =>
    BARS[most === least ? 3 : Math.round(((value - least) / (most - least)) * (BARS.length - 1))] ?? ' ';
  return values.map((value) => (value === undefined ? ' ' : bar(value))).join('');
}

/** Why nothing is looked at, where that is wanted; in words. */
function pausedWords({ settings: { endedAt, paused, note } }: MonitorView): string | null {
  if (endedAt !== undefined) return `not watched any more since ${minute(endedAt)} UTC`;
  return paused ? note || 'paused' : null;
}

/** A line that says that what is shown is old; none where it is not. */
function staleLines(view: MonitorView, now: number): string[] {
  const age = staleFor(view, now);
  if (age === null) return [];
  const { endpoint } = view.settings;
  const what = view.state?.latest ? 'the latest window ended' : 'the first window began';
  return [
    pc.red(
      `  stale: ${what} ${ageWords(age)} ago, and none has been looked at since; is a worker running? See perennial schedule show monitor/${endpoint}`,
    ),
  ];
}

/** All watched endpoints, a line each. */
export function monitorList(views: readonly MonitorView[], now: number = Date.now()): string {
  if (views.length === 0)
    return 'no endpoint is watched; a spec with monitoring: {} has its endpoint watched from its next deployment on';
  return columns([
    ['ENDPOINT', 'STATE', 'LATEST WINDOW', 'ROWS', 'LABELS', 'ALERTS'],
    ...views.map((view) => {
      const { settings, state } = view;
      const stale = staleFor(view, now);
      const latest = state?.latest;
      const raised = state?.alerts.open.filter(({ raisedAt }) => raisedAt !== null).length ?? 0;
      return [
        settings.endpoint,
        settings.endedAt !== undefined
          ? 'not watched'
          : settings.paused
            ? 'paused'
            : stale === null
              ? (latest?.state ?? 'no window yet')
              : `stale, ${ageWords(stale)}`,
        latest ? `${minute(latest.window.from)} .. ${minute(latest.window.before)}` : '',
        latest ? latest.rows.toLocaleString('en') : '',
        latest ? latest.labels.toLocaleString('en') : '',
        String(raised),
      ];
    }),
  ]);
}

/** One endpoint: now, and the trend. */
export function monitorText(view: MonitorView, now: number = Date.now()): string {
  const { settings, state } = view;
  const latest = state?.latest;
  const { endpoint, monitoring } = settings;
  const window = typeof monitoring.window === 'string' ? monitoring.window : `${monitoring.window.rows} rows`;
  if (!state || !latest)
    return [
      `${pc.bold(endpoint)}: ${pausedWords(view) ?? `no window has ended yet; the first one begins ${minute(settings.since)} UTC (window: ${window})`}`,
      ...staleLines(view, now),
    ].join('\n');
  const stopped = pausedWords(view);
  const open = state.alerts.open.filter(({ raisedAt }) => raisedAt !== null);
  const labelled = latest.labelled
    ? `truth of ${minute(latest.labelled.from)} .. ${minute(latest.labelled.before)}: ${latest.labels.toLocaleString('en')} labels`
    : 'no truth is due yet';
  return [
    `${pc.bold(endpoint)}${latest.version === null ? '' : ` version ${latest.version}`}: ${stateWord(latest.state)}`,
    `  window ${latest.window.index}, ${minute(latest.window.from)} .. ${minute(latest.window.before)} UTC: ${latest.rows.toLocaleString('en')} rows; ${labelled}`,
    ...(stopped === null ? [] : [pc.yellow(`  ${stopped}`)]),
    ...staleLines(view, now),
    '',
    checkTable(latest, state.trend),
    ...(open.length === 0
      ? []
      : [
          '',
          pc.bold('Alerts'),
          ...open.map(
            ({ severity, key, since, words }) =>
              `  ${severity.padEnd(8)}  since ${minute(since)}  ${subjectOf(key)}: ${words}`,
          ),
        ]),
    ...(state.undelivered.length === 0
      ? []
      : [
          '',
          pc.red('Not told'),
          ...state.undelivered.map(
            ({ at, channel, title, why }) => `  ${minute(at)}  ${channel}: ${title} (${why})`,
          ),
        ]),
    ...(state.tracking ? ['', `Reports  ${state.tracking.url}`] : []),
  ].join('\n');
}

const stateWord = (state: WindowSummary['state']): string =>
  state === 'breached'
    ? pc.red('beyond its limits')
    : state === 'ok'
      ? pc.green('ok')
      : pc.yellow('insufficient');

const RANK = { breached: 0, insufficient: 1, ok: 2, unlimited: 3 } as const;

/** `check/of/slice` as words; `~1` stands for a slash within one of them. */
const subjectOf = (key: string): string =>
  key
    .split('/')
    .filter(Boolean)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .join(' ');

/** A line for each check: its worst verdict, and its trend. */
function checkTable(latest: WindowSummary, trend: readonly TrendWindow[]): string {
  const shown = trend.slice(-WIDEST_TREND);
  const rows = CHECKS.flatMap((check) => {
    const verdicts = latest.verdicts.filter((one) => one.check === check && one.slice === null);
    const worst = [...verdicts].sort((a, b) => RANK[a.state] - RANK[b.state])[0];
    if (!worst) return [];
    return [[`  ${check}`, worst.state, trendOf(check, worst, shown), wordsOf(worst, verdicts, latest)]];
  });
  return columns([['  CHECK', 'STATE', `LAST ${shown.length}`, ''], ...rows]);
}

function trendOf(check: CheckName, { of }: Verdict, trend: readonly TrendWindow[]): string {
  const latest = trend.at(-1);
  const names = Object.keys(latest?.measures ?? {}).filter((name) => MEASURE[check].test(name));
  const name = names.find((one) => one.endsWith(`.${of}`)) ?? names[0];
  return name === undefined ? '' : sparkline(trend.map(({ measures }) => measures[name]));
}

function wordsOf(worst: Verdict, verdicts: readonly Verdict[], { verdicts: all }: WindowSummary): string {
  const beyond = verdicts.filter(({ state }) => state === 'breached').length;
  const slices = all.filter(
    ({ check, slice, state }) => check === worst.check && slice !== null && state === 'breached',
  ).length;
  return [
    worst.words || (worst.observed === null ? '' : figure(worst.observed)),
    beyond > 1 ? `and ${beyond - 1} more` : '',
    slices > 0 ? `in ${slices} slices` : '',
  ]
    .filter(Boolean)
    .join('; ');
}
