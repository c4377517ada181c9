import { describe, expect, it } from 'vitest';
import type { BacktestReport, BacktestRun, BacktestStep, PolicyOutcome } from '../../contracts/backtest.ts';
import { outcomeOf } from '../../domain/backtest/outcome.ts';
import { policyCostChart } from '../../lib/charts/backtest-cost.ts';
import { policyEventsChart } from '../../lib/charts/backtest-events.ts';
import { policyQualityChart } from '../../lib/charts/backtest-quality.ts';
import { backtestPage } from '../../lib/report/backtest-page.ts';

const month = (index: number): string => new Date(Date.UTC(2009, 4 + index, 1)).toISOString();
const FIRST = month(0);

const stepsOf = (models: (index: number) => number, decisions: Record<number, string> = {}): BacktestStep[] =>
  Array.from({ length: 18 }, (_, i) => {
    const stale = i >= 4 && models(i) < 4;
    return {
      window: { index: i, from: month(i), before: month(i + 1) },
      model: month(models(i)),
      rows: 1_000,
      quality: { brier_score: (stale ? 0.24 : 0.15) + 0.02 * Math.sin(i) },
      bad: stale,
      raised: i === 4 ? ['quality/brier_score/'] : [],
      decision: decisions[i] ?? '',
    };
  });
const run = (index: number, outcome: BacktestRun['outcome'] = 'deployed'): BacktestRun => ({
  asOf: month(index),
  reasons: ['degradation: quality brier_score: 0.29, at most 0.2'],
  outcome,
  message: '',
  model: month(index),
  seconds: 10,
  cost: 0,
});

const policies: PolicyOutcome[] = [
  outcomeOf(
    'on-degradation',
    stepsOf((i) => (i > 4 ? 5 : 0)),
    [run(5)],
    1,
  ),
  outcomeOf(
    'on-drift',
    stepsOf((i) => (i > 4 ? 5 : 0), { 6: 'wait: cool-down: the last run ended' }),
    [run(3, 'gates_failed'), run(5)],
    1,
  ),
  outcomeOf(
    'monthly',
    stepsOf((i) => (i > 4 ? 5 : 0)),
    [run(1, 'gates_failed'), run(5)],
    1,
  ),
  outcomeOf(
    'on-estimate',
    stepsOf(() => 0, {
      9: 'give-up: given up: 3 run(s) in a row did not help',
      10: 'give-up: given up: 3 run(s)',
    }),
    [run(6, 'gates_failed'), run(7, 'gates_failed')],
    1,
  ),
  outcomeOf(
    'never',
    stepsOf(() => 0),
    [],
    1,
  ),
];
const report: BacktestReport = {
  pipeline: 'bank',
  from: FIRST,
  to: month(18),
  labelDelay: '30d',
  metric: 'brier_score',
  firstModelFailed: ['roc_auc at least 0.8: 0.7512 observed'],
  policies,
  advice: 'on-degradation: none is better',
};

/** The values of a chart's data, wherever they stand. */
function valuesOf(spec: object | undefined): Record<string, unknown>[] {
  if (!spec) return [];
  return Object.values(spec).flatMap((value: unknown): Record<string, unknown>[] => {
    if (Array.isArray(value)) return value.flatMap((one) => (typeof one === 'object' ? valuesOf(one) : []));
    if (typeof value !== 'object' || value === null) return [];
    return 'values' in value && Array.isArray(value.values) ? value.values : valuesOf(value);
  });
}

describe('the page of a back-test', () => {
  it('says that the first model serves though its gates fail, who gave up, and who waited', async () => {
    const page = await backtestPage(report);
    expect(page).toContain('serves from the beginning, also where its gates fail');
    expect(page).toContain('The gates of the first model fail: roc_auc at least 0.8: 0.7512 observed');
    expect(page).toContain('<span class="bad">given up</span>');
    expect(page).toContain('cool-down: the last run ended');
    expect(page).not.toMatch(/<td[^>]*>\d{4}-\d{2}-\d{2}/);
    expect(await backtestPage({ ...report, firstModelFailed: [] })).toContain('Here they pass.');
  });
});

describe('its charts', () => {
  it('draw lines that coincide side by side', () => {
    const values = valuesOf(policyQualityChart(policies, 'brier_score')?.spec);
    const last = values.filter(({ at }) => at === values.at(-1)?.at).map(({ value }) => value as number);
    expect(last).toHaveLength(5);
    expect(new Set(last).size).toBe(5);
    const { steps } = policies[0] ?? { steps: [] };
    expect(Math.abs((last[0] ?? 0) - (steps.at(-1)?.quality.brier_score ?? 0))).toBeLessThan(0.003);
  });

  it('show alerts, trainings, and where a policy waits or has given up', () => {
    const values = valuesOf(policyEventsChart(policies)?.spec);
    const of = (policy: string): unknown[] =>
      values.filter((one) => one.policy === policy).map(({ kind, what }) => kind ?? what);
    expect(of('never')).toEqual(['alert']);
    expect(of('on-drift').sort()).toEqual(['alert', 'new model', 'not deployed', 'waits']);
    expect(of('on-estimate').filter((one) => one === 'given up')).toHaveLength(2);
  });

  it('write no name over another', () => {
    const same = policies.map((one) => ({ ...one, quality: { brier_score: 0.2 }, runs: [run(1)] }));
    const values = valuesOf(policyCostChart([...same, ...policies], 'brier_score')?.spec);
    const places = values.map(({ labelRuns, labelValue }) => `${String(labelRuns)}|${String(labelValue)}`);
    expect(places).toHaveLength(10);
    expect(new Set(places).size).toBe(10);
  });
});
