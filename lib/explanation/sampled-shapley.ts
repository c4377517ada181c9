import { seededRandom } from '../../domain/random.ts';
import { studentQuantile } from '../statistics/student.ts';

/** What a game pays: the answers `[coalitions, outputs]` where some columns are the row's and the others a background row's. */
export interface Coalitions {
  /** Number of coalitions. */
  readonly count: number;
  /** For each coalition, which background row it is mixed with. */
  readonly background: Uint32Array;
  /** Whether a column is the explained row's, `[count, columns]`. */
  readonly own: Uint8Array;
}

export interface SampledShapleyOptions {
  columns: number;
  outputs: number;
  /** Rows that stand for what is not known. */
  backgroundRows: number;
  /** Antithetic pairs of orders; a multiple of the background rows makes base and contributions add up exactly. */
  pairs: number;
  confidence: number;
  seed: number;
  answers: (coalitions: Coalitions) => Promise<Float64Array>;
}

/** Estimated Shapley values of one row. Arrays over outputs, contributions `[columns, outputs]`. */
export interface SampledShapley {
  answer: Float64Array;
  /** The mean answer over the background rows that were used. */
  base: Float64Array;
  contributions: Float64Array;
  /** Half of the width of the confidence interval of each contribution. */
  errors: Float64Array;
}

/**
 * Shapley values by sampling orders of the columns (Castro, Gómez and Tejada 2009): in a random order columns of a
 * background row are replaced by the row's own; what the answer changes by is the column's. Each order is also gone
 * through backwards (antithetic), which takes out most of the noise of additive models: where the answer is a sum over
 * columns it is exact for each background row. What is unknown is averaged over background rows, as if it did not depend on what is
 * known (interventional).
 *
 * Base and contributions add up to the answer exactly, whatever was drawn. The error of a contribution comes from the
 * spread between pairs (Student's t).
 */
export async function sampledShapley(options: SampledShapleyOptions): Promise<SampledShapley> {
  const { columns, outputs, backgroundRows, pairs, confidence, seed } = options;
  const plan = drawn(options);
  const answers = await options.answers(plan);
  const paths = columns > 1 ? 2 : 1;
  const inner = columns - 1;
  const perPair = 1 + paths * inner;
  const at = (coalition: number, k: number): number => answers[coalition * outputs + k] ?? Number.NaN;

  const answer = Float64Array.from({ length: outputs }, (_, k) => at(plan.count - 1, k));
  const base = new Float64Array(outputs);
  const sum = new Float64Array(columns * outputs);
  const squares = new Float64Array(columns * outputs);
  const random = orders(columns, seed);
  for (let pair = 0; pair < pairs; pair++) {
    const order = random();
    const first = pair * perPair;
    for (let k = 0; k < outputs; k++) {
      base[k] = (base[k] ?? 0) + at(first, k) / pairs;
      const ofPair = new Float64Array(columns);
      for (let path = 0; path < paths; path++) {
        let before = at(first, k);
        for (let step = 0; step < columns; step++) {
          const after = step === inner ? (answer[k] ?? Number.NaN) : at(first + 1 + path * inner + step, k);
          const column = order[path === 0 ? step : inner - step] ?? 0;
          ofPair[column] = (ofPair[column] ?? 0) + (after - before) / paths;
          before = after;
        }
      }
      ofPair.forEach((value, column) => {
        const place = column * outputs + k;
        sum[place] = (sum[place] ?? 0) + value;
        squares[place] = (squares[place] ?? 0) + value * value;
      });
    }
  }
  const t = studentQuantile(0.5 + confidence / 2, pairs - 1);
  const contributions = sum.map((total) => total / pairs);
  const errors = contributions.map((mean, place) => {
    const variance = Math.max(0, ((squares[place] ?? 0) - pairs * mean * mean) / (pairs - 1));
    // Every background row once: nothing but the orders was drawn, so this is on the safe side.
    return backgroundRows === 0 || Math.abs(variance) < 1e-24 ? 0 : t * Math.sqrt(variance / pairs);
  });
  return { answer, base, contributions, errors };
}

/** All coalitions: for each pair the background row alone, then those of the order and of its reverse; last the row itself. */
function drawn({ columns, backgroundRows, pairs, seed }: SampledShapleyOptions): Coalitions {
  const paths = columns > 1 ? 2 : 1;
  const count = pairs * (1 + paths * (columns - 1)) + 1;
  const background = new Uint32Array(count);
  const own = new Uint8Array(count * columns);
  const random = orders(columns, seed);
  let at = 0;
  for (let pair = 0; pair < pairs; pair++) {
    const order = random();
    background[at++] = pair % backgroundRows;
    for (let path = 0; path < paths; path++)
      for (let known = 1; known < columns; known++) {
        background[at] = pair % backgroundRows;
        for (let step = 0; step < known; step++)
          own[at * columns + (order[path === 0 ? step : columns - 1 - step] ?? 0)] = 1;
        at += 1;
      }
  }
  own.fill(1, at * columns);
  return { count, background, own };
}

/** Random orders of the columns, the same ones for the same seed. */
function orders(columns: number, seed: number): () => Uint32Array {
  const random = seededRandom(Math.imul(seed + 1, 0x9e3779b1));
  return () => {
    const order = Uint32Array.from({ length: columns }, (_, index) => index);
    for (let last = columns - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      const kept = order[last] ?? 0;
      order[last] = order[other] ?? 0;
      order[other] = kept;
    }
    return order;
  };
}
