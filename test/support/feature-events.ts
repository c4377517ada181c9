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
  const windows = new Map<string, Defined>();
  return view.columns.map(({ aggregate, value, window }) => {
    const name = `${value} ${window}`;
    const known = windows.get(name) ?? definedWindow(events, value, [at - window, at]);
    windows.set(name, known);
    return defined(aggregate, known);
  });
}

/** The events of a window that have a value. */
interface Defined {
  readonly events: readonly { readonly time: number; readonly value: number }[];
  readonly sum: bigint;
  /** n·Σx² − (Σx)², all whole. */
  readonly spread: bigint;
}

function definedWindow(
  events: readonly TestEvent[],
  value: number,
  [from, to]: readonly [number, number],
): Defined {
  const counted = events
    .filter(({ time, values }) => time >= from && time < to && !Number.isNaN(values[value]))
    .map(({ time, values }) => ({ time, value: values[value] ?? 0 }));
  const exact = counted.map((event) => exactly(event.value));
  const sum = exact.reduce((all, one) => all + one, 0n);
  const squares = exact.reduce((all, one) => all + one * one, 0n);
  return { events: counted, sum, spread: BigInt(counted.length) * squares - sum * sum };
}

function defined(aggregate: Aggregate, { events, sum, spread }: Defined): number {
  const count = events.length;
  if (aggregate === 'count') return count;
  if (count === 0) return Number.NaN;
  const values = events.map(({ value }) => value);
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
    default: {
      const deviations = Number(spread) / SCALE / SCALE / count;
      const variance = deviations / (aggregate.endsWith('_pop') ? count : count - 1);
      return aggregate.startsWith('var') ? variance : Math.sqrt(variance);
    }
  }
}
