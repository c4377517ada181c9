import type { TrendWindow, WindowSummary } from '../../contracts/monitoring.ts';

/** Measures of single features and slices. */
const OF_ONE = /^(drift\.psi\.|slice\.)/;

/** What is kept of a window in the trend, which is read and written with each window. */
export function trendOf(summary: WindowSummary): TrendWindow {
  const { window, labelled, version, rows, labels, state, report, page, measures } = summary;
  return {
    window,
    labelled,
    version,
    rows,
    labels,
    state,
    report,
    page,
    measures: Object.fromEntries(Object.entries(measures).filter(([name]) => !OF_ONE.test(name))),
  };
}
