import type { Aggregate, ServedView } from '../../contracts/serving.ts';
import { AGGREGATES } from '../../contracts/serving.ts';
import { aggregateOf } from '../../lib/feature-store/window-state.ts';
import { WindowSweep } from '../../lib/feature-store/window-sweep.ts';

/** An event in tests: microseconds, and a value or NaN for each value of the view. */
export interface TestEvent {
  readonly time: number;
  readonly values: readonly number[];
}

/** A served view with every aggregate of every value over every window. */
export const servedEverything = (store: string, values: number, windows: readonly number[]): ServedView => ({
  name: 'view',
  store,
  entity: ['entity'],
  values,
  columns: Array.from({ length: values }, (_, value) =>
    windows.flatMap((window) =>
      AGGREGATES.map((aggregate) => ({
        input: `view_${aggregate}_${value}_${window}`,
        aggregate,
        value,
        window,
        default: null,
      })),
    ),
  ).flat(),
  ttlMs: null,
  unavailable: 'refuse',
});

/** What training gets for the columns of a view at a moment, microseconds. */
export function sweptColumns(view: ServedView, events: readonly TestEvent[], at: number): number[] {
  const windows = [...new Set(view.columns.map(({ window }) => window))];
  const sweep = new WindowSweep(view.values, windows);
  for (const { time, values } of events.filter((event) => event.time < at).sort((a, b) => a.time - b.time))
    sweep.add(time, values);
  sweep.ask(at);
  return view.columns.map(({ aggregate, value, window }) =>
    aggregateOf(aggregate, sweep.states, sweep.stateAt(windows.indexOf(window), value)),
  );
}

/** 2^112: doubles of at least 2^-60 are whole numbers of it, squares included. */
const SCALE = 2 ** 112;
const exactly = (value: number): bigint => BigInt(value * SCALE);

/** The same by definition: what lies in the window, added up in whole numbers. */
export function definedColumns(view: ServedView, events: readonly TestEvent[], at: number): number[] {
  return view.columns.map(({ aggregate, value, window }) => {
    const counted = events
      .filter(({ time, values }) => time >= at - window && time < at && !Number.isNaN(values[value]))
      .map(({ time, values }) => ({ time, value: values[value] ?? 0 }));
    return defined(aggregate, counted);
  });
}

function defined(aggregate: Aggregate, events: readonly { time: number; value: number }[]): number {
  const count = events.length;
  if (aggregate === 'count') return count;
  if (count === 0) return Number.NaN;
  const values = events.map(({ value }) => value);
  const sum = values.reduce((all, value) => all + exactly(value), 0n);
  switch (aggregate) {
    case 'sum':
      return Number(sum) / SCALE;
    case 'avg':
      return Number(sum) / SCALE / count;
    case 'min':
      return Math.min(...values);
    case 'max':
      return Math.max(...values);
    case 'last': {
      const last = Math.max(...events.map(({ time }) => time));
      return Math.max(...events.filter(({ time }) => time === last).map(({ value }) => value));
    }
    default:
      return spread(aggregate, values, sum);
  }
}

/** n·Σx² − (Σx)², all whole. */
function spread(aggregate: string, values: readonly number[], sum: bigint): number {
  const count = values.length;
  const squares = values.reduce((all, value) => all + exactly(value) ** 2n, 0n);
  const deviations = Number(BigInt(count) * squares - sum * sum) / SCALE / SCALE / count;
  const variance = deviations / (aggregate.endsWith('_pop') ? count : count - 1);
  return aggregate.startsWith('var') ? variance : Math.sqrt(variance);
}
