import pc from 'picocolors';
import type { Hindsight, HindsightWindow } from '../contracts/hindsight.ts';
import { lowerIsBetter } from '../contracts/spec/metrics.ts';
import { columns } from './output.ts';

const day = (at: string): string => at.slice(0, 10);
const figure = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : value.toPrecision(4);

/** As it was, beside what one version would have made of it: a line for each window. */
export function hindsightText({ endpoint, version, metric, windows, changes, means }: Hindsight): string {
  if (windows.length === 0) return `${endpoint}: of no window the truth is known yet`;
  const cell = ({ metrics, intervals }: HindsightWindow['answered']): string => {
    const range = intervals[metric];
    return `${figure(metrics[metric])}${range ? ` (${figure(range.low)} to ${figure(range.high)})` : ''}`;
  };
  const table = columns([
    ['  WINDOW', 'LABELS', 'ANSWERED BY', `${metric} AS ANSWERED`, `VERSION ${version} ALONE`],
    ...windows.map(({ window, versions, answered, asked }) => [
      `  ${day(window.from)}`,
      answered.labels.toLocaleString('en'),
      `version ${Object.keys(versions).join(', ')}`,
      cell(answered),
      cell(asked),
    ]),
    ['  mean', '', '', figure(means.answered), figure(means.asked)],
  ]);
  const came = changes.slice(1).map((change) => `version ${change.version} since ${day(change.at)}`);
  return [
    `${pc.bold(endpoint)}: as it was, and with version ${version} alone (${lowerIsBetter(metric) ? 'lower' : 'higher'} is better)`,
    table,
    ...(came.length > 0 ? [`  ${came.join(', ')}`] : []),
  ].join('\n');
}
