import type { TimedRow } from '../../contracts/data-questions.ts';
import { linearCongruential } from './integration-random.ts';

const DAY_MS = 86_400_000;
const PER_DAY = 40;

/** Forty calls a day; `x` says how they end, one way before a moment and the other way after it. */
export function turningCalls({ from, to, turns }: { from: string; to: string; turns: string }): TimedRow[] {
  const [first, last] = [Date.parse(from), Date.parse(to)];
  const count = (PER_DAY * (last - first)) / DAY_MS;
  const numbers = linearCongruential(3 * count, 7);
  return Array.from({ length: count }, (_, i) => {
    const [x = 0, noise = 0, chance = 0] = numbers.slice(3 * i, 3 * i + 3);
    const at = first + (i * DAY_MS) / PER_DAY;
    const likely = 1 / (1 + Math.exp(-4 * (2 * x - 1)));
    const isTrue = chance < (at < Date.parse(turns) ? likely : 1 - likely);
    return { at: new Date(at).toISOString(), inputs: { x, noise }, label: String(isTrue) };
  });
}

/** The same as CSV. */
export const callsCsv = (rows: readonly TimedRow[]): string =>
  `id,at,x,noise,y\n${rows.map(({ at, inputs: { x, noise }, label }, id) => `${id},${at},${x},${noise},${label}\n`).join('')}`;

/** A pipeline over them: trained on the first two months of 2025, tested on March. */
export const callsSpec = (path: string, changes: Record<string, unknown> = {}) => ({
  name: 'turning-calls',
  task: 'binary',
  data: { sources: { calls: { path } } },
  columns: { target: 'y', positive: 'true', entity: 'id', timestamp: 'at' },
  split: {
    method: 'time',
    train: { before: '2025-03-01' },
    validation: { before: '2025-03-15' },
    test: { before: '2025-04-01' },
  },
  candidates: ['logistic'],
  training: { budget: { trials: 1 } },
  evaluation: {
    metric: 'brier_score',
    gates: [{ metric: 'brier_score', betterThan: 'champion', byShare: 0.1 }],
  },
  approval: { required: false },
  ...changes,
});
