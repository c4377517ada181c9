import type { PolicyOutcome } from '../../contracts/backtest.ts';
import { LEFT, policyColors, TIME_WIDTH, timeAxis } from './backtest-axes.ts';
import { type Chart, INK } from './render.ts';

const LANE = 34;
/** Pixels that alerts stand above trainings: one often is the reason of the other. */
const ABOVE = 10;
const KINDS = ['new model', 'not deployed', 'alert'] as const;
const SHAPES = ['circle', 'cross', 'triangle-up'];

/** What each policy did and told, in a lane of its own: alerts, trainings, and where it waits or has given up. */
export function policyEventsChart(policies: readonly PolicyOutcome[]): Chart | undefined {
  const marks = policies.flatMap(({ policy, steps, runs }) => [
    ...steps
      .filter(({ raised }) => raised.length > 0)
      .map(({ window }) => ({ policy, at: window.before, kind: KINDS[2] })),
    ...runs.map(({ asOf, outcome }) => ({
      policy,
      at: asOf,
      kind: outcome === 'deployed' ? KINDS[0] : KINDS[1],
    })),
  ]);
  const stretches = policies.flatMap(({ policy, steps }) =>
    steps.flatMap(({ window, decision }, i) => {
      const what = heldBack(decision);
      const next = steps[i + 1]?.window.before;
      return what && next ? [{ policy, from: window.before, before: next, what }] : [];
    }),
  );
  if (marks.length === 0 && stretches.length === 0) return undefined;
  const names = policies.map(({ policy }) => policy);
  const x = timeAxis(policies);
  const y = {
    field: 'policy',
    type: 'nominal' as const,
    title: null,
    sort: names,
    scale: { domain: names },
    axis: { ...LEFT, grid: true },
  };
  const marked = (values: typeof marks, yOffset: number) => ({
    data: { values },
    mark: { type: 'point' as const, size: 75, opacity: 1, strokeWidth: 1, yOffset },
    encoding: {
      x: { ...x, field: 'at' },
      y,
      color: { field: 'policy', type: 'nominal' as const, legend: null, scale: policyColors(policies) },
      shape: {
        field: 'kind',
        type: 'nominal' as const,
        title: null,
        legend: { symbolFillColor: INK, symbolStrokeColor: INK },
        scale: { domain: [...KINDS], range: SHAPES },
      },
    },
  });
  return {
    description: policies
      .map(({ policy, runs, steps }) => {
        const alerts = steps.reduce((sum, { raised }) => sum + raised.length, 0);
        const gaveUp = steps.find(({ decision }) => heldBack(decision) === 'given up');
        return `${policy}: ${runs.length} trainings, ${alerts} alerts${gaveUp ? `, given up from ${gaveUp.window.before.slice(0, 10)} on` : ''}`;
      })
      .join('; '),
    spec: {
      title: {
        text: 'What each policy did and told',
        subtitle:
          'bars: there was a reason to train, and a rule let it wait (faint), or it has given up (strong)',
      },
      width: TIME_WIDTH,
      height: LANE * policies.length,
      layer: [
        {
          data: { values: stretches },
          mark: { type: 'bar', height: 9, color: INK },
          encoding: {
            x: { ...x, field: 'from' },
            x2: { field: 'before' },
            y,
            opacity: {
              field: 'what',
              type: 'nominal',
              legend: null,
              scale: { domain: ['waits', 'given up'], range: [0.16, 0.5] },
            },
          },
        },
        marked(
          marks.filter(({ kind }) => kind !== KINDS[2]),
          0,
        ),
        marked(
          marks.filter(({ kind }) => kind === KINDS[2]),
          -ABOVE,
        ),
      ],
    },
  };
}

/** Whether there was a reason to train, and nothing was trained. */
export function heldBack(decision: string): 'waits' | 'given up' | undefined {
  if (decision.startsWith('wait:')) return 'waits';
  return decision.startsWith('give-up:') ? 'given up' : undefined;
}
