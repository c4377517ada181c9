import type { BacktestReport, BacktestStep, PolicyOutcome } from '../../contracts/backtest.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import { policyCostChart } from '../charts/backtest-cost.ts';
import { heldBack, policyEventsChart } from '../charts/backtest-events.ts';
import { policyQualityChart } from '../charts/backtest-quality.ts';
import { renderChart } from '../charts/render.ts';
import { count, dataPage, dataTable, facts, figure } from './data-page.ts';
import { html, Markup } from './html.ts';

/** A day, which is not to be broken at its hyphens. */
const day = (at: string): Markup => html`<time class="date">${at.slice(0, 10)}</time>`;

/** A back-test as one page that loads nothing. */
export async function backtestPage(found: BacktestReport): Promise<string> {
  const { pipeline, from, to, labelDelay, metric, firstModelFailed = [], policies, advice } = found;
  const charts: Markup[] = [];
  for (const chart of [
    policyQualityChart(policies, metric),
    policyEventsChart(policies),
    policyCostChart(policies, metric),
  ])
    if (chart) charts.push(html`<figure>${new Markup(await renderChart(chart))}</figure>`);
  const [best] = policies;
  return dataPage(
    `Back-test of ${pipeline}`,
    html`<h1>Back-test of ${pipeline}</h1>
<p class="soft">${day(from)} to ${day(to)}, truth known ${labelDelay === null ? 'at once' : `after ${labelDelay}`}; decided by the rules of the live monitor and of retraining, by what was known at the time.</p>
<p class="soft">Under each policy the first model, trained as of ${day(from)}, serves from the beginning, also where its gates fail: there is no other. ${firstModelFailed.length === 0 ? 'Here they pass.' : ''}</p>
${firstModelFailed.length === 0 ? '' : html`<p class="warn">The gates of the first model fail: ${firstModelFailed.join('; ')}</p>`}
<p class="verdict good">${advice}</p>
${facts([
  ['policies', count(policies.length)],
  ['windows', count(best?.steps.length ?? 0)],
  ['rows', count(best?.steps.reduce((sum, { rows }) => sum + rows, 0) ?? 0)],
])}
<h2>Policies</h2>${policyTable(policies, metric)}
${charts}
<h2>What was done</h2>${policies.map(runsOf)}
<h2>Window by window</h2>${windowTable(policies, metric)}`,
  );
}

const policyTable = (policies: readonly PolicyOutcome[], metric: MetricName): Markup =>
  dataTable(
    'Alerts: those that were raised while, or about when, the quality was beyond its limit are true. Missed: stretches of bad windows of which nothing was told.',
    [
      'policy',
      `mean ${metric}`,
      'bad windows',
      'retrainings',
      'into production',
      'training, s',
      'cost',
      'alerts true',
      'false',
      'missed',
    ],
    policies.map((one) => [
      one.policy,
      figure(one.quality[metric]),
      `${one.badWindows} of ${one.steps.length}`,
      count(one.runs.length),
      count(one.deployed),
      figure(Math.round(one.seconds * 10) / 10),
      figure(one.cost),
      count(one.trueAlerts),
      count(one.falseAlerts),
      count(one.missed),
    ]),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  );

const runsOf = ({ policy, runs, steps }: PolicyOutcome): Markup =>
  html`<h3>${policy}</h3>${
    runs.length === 0
      ? html`<p class="soft">Nothing was trained anew.</p>`
      : dataTable(
          '',
          ['as of', 'why', 'outcome', ''],
          runs.map(({ asOf, reasons, outcome, message }) => [
            day(asOf),
            reasons.join('; '),
            outcome.replace('_', ' '),
            message,
          ]),
        )
  }${stretchesOf(steps)}`;

/** Where there was a reason to train, and nothing was trained. */
function stretchesOf(steps: readonly BacktestStep[]): Markup | string {
  const stretches: { what: string; why: string; from: string; to: string; windows: number }[] = [];
  let former: string | undefined;
  for (const { decision, window } of steps) {
    const what = heldBack(decision);
    const last = stretches.at(-1);
    if (what && last && what === former) {
      last.to = window.before;
      last.windows++;
    } else if (what) {
      const why = decision.slice(decision.indexOf(':') + 1).trim();
      stretches.push({ what, why, from: window.before, to: window.before, windows: 1 });
    }
    former = what;
  }
  if (stretches.length === 0) return '';
  return dataTable(
    'There was a reason, and nothing was trained at the ends of these windows; nobody is there to resume what was given up.',
    ['from', 'to', 'windows', '', 'why, at first'],
    stretches.map(({ what, why, from, to, windows }) => [
      day(from),
      day(to),
      count(windows),
      what === 'given up' ? html`<span class="bad">${what}</span>` : what,
      why,
    ]),
    [2],
  );
}

function windowTable(policies: readonly PolicyOutcome[], metric: MetricName): Markup {
  const windows = policies[0]?.steps ?? [];
  return dataTable(
    `${metric}; in brackets the model, by the day as of which it was trained`,
    ['window', 'rows', ...policies.map(({ policy }) => policy)],
    windows.map(({ window, rows }, i) => [
      day(window.from),
      count(rows),
      ...policies.map(({ steps }) => {
        const step = steps[i];
        if (!step) return '';
        const value = html`${figure(step.quality[metric])} <span class="soft">(${day(step.model)})</span>`;
        return step.bad === true ? html`<span class="bad">${value}</span>` : value;
      }),
    ]),
    [1, ...policies.map((_, i) => i + 2)],
  );
}
