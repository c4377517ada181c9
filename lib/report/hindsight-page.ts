import type { Hindsight, HindsightWindow } from '../../contracts/hindsight.ts';
import { lowerIsBetter } from '../../contracts/spec/metrics.ts';
import { hindsightChart } from '../charts/hindsight-chart.ts';
import { renderChart } from '../charts/render.ts';
import { count, dataPage, dataTable, facts, figure } from './data-page.ts';
import { html, Markup } from './html.ts';

const day = (at: string): string => at.slice(0, 10);

/** What retraining brought, as one page that loads nothing. */
export async function hindsightPage(found: Hindsight): Promise<string> {
  const { endpoint, version, metric, windows, changes, means } = found;
  const chart = hindsightChart(found);
  return dataPage(
    `${endpoint}: with and without retraining`,
    html`<h1>${endpoint}: as it was, and with version ${version} alone</h1>
<p class="soft">${windows[0] ? `${day(windows[0].window.from)} to ${day(windows.at(-1)?.window.before ?? '')}; ` : ''}what was answered, beside what version ${version} says when it is asked the same again, on the rows whose truth is known.</p>
${wordsOf(found)}
${facts([
  ['windows', count(windows.length)],
  ['labels', count(windows.reduce((sum, { answered }) => sum + answered.labels, 0))],
  [`mean ${metric}`, figure(means.answered)],
  [`version ${version} alone`, figure(means.asked)],
])}
${chart ? html`<figure>${new Markup(await renderChart(chart))}</figure>` : html``}
<h2>Window by window</h2>${windowTable(found)}
<h2>Versions</h2>${dataTable(
      '',
      ['version', 'answered first'],
      changes.map((change) => [change.version, day(change.at)]),
    )}`,
  );
}

/** Which is better in the mean over the windows; nothing where it cannot be said. */
function wordsOf({ metric, version, means: { answered, asked } }: Hindsight): Markup {
  if (answered === null || asked === null) return html`<p class="verdict warn">No truth is known.</p>`;
  if (answered === asked) return html`<p class="verdict warn">It makes no difference.</p>`;
  const better = lowerIsBetter(metric) ? answered < asked : answered > asked;
  const by = `${metric} ${figure(answered)} in the mean, ${figure(asked)} with version ${version} alone`;
  return better
    ? html`<p class="verdict good">Better than version ${version} alone: ${by}</p>`
    : html`<p class="verdict bad">Worse than version ${version} alone: ${by}</p>`;
}

function windowTable({ metric, version, windows }: Hindsight): Markup {
  const cell = ({ metrics, intervals }: HindsightWindow['answered']): string => {
    const range = intervals[metric];
    return `${figure(metrics[metric])}${range ? ` (${figure(range.low)} to ${figure(range.high)})` : ''}`;
  };
  return dataTable(
    `${metric} with intervals of 95 %`,
    ['window', 'labels', 'answered by version', 'as answered', `version ${version} alone`],
    windows.map(({ window, versions, answered, asked }) => [
      day(window.from),
      count(answered.labels),
      Object.keys(versions).join(', '),
      cell(answered),
      cell(asked),
    ]),
    [1, 3, 4],
  );
}
