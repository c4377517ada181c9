/** Below so many numbers comparing them takes less time than counting digits. */
const FEW = 4_096;
const DIGITS = 2 ** 16;

/**
 * Row numbers from the highest score to the lowest; rows with the same score stay in their order. Many scores are
 * sorted digit by digit (radix sort, Knuth 5.2.5), which takes a fraction of the time of comparing them.
 *
 * @param scores no NaN
 */
export function descending(scores: Float64Array): Uint32Array {
  const order = new Uint32Array(scores.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  if (order.length < FEW) return order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b);
  let now: Items = { ...keysOf(scores), order };
  let next: Items = {
    low: new Uint32Array(order.length),
    high: new Uint32Array(order.length),
    order: new Uint32Array(order.length),
  };
  for (const digit of [
    { word: 'low', shift: 0 },
    { word: 'low', shift: 16 },
    { word: 'high', shift: 0 },
    { word: 'high', shift: 16 },
  ] as const)
    if (moved(now, next, now[digit.word], digit.shift)) [now, next] = [next, now];
  return now.order;
}

interface Items {
  /** The lower and the upper half of the keys. */
  low: Uint32Array;
  high: Uint32Array;
  order: Uint32Array;
}

/** Sorts by one digit of 16 bits, equal ones in their order; `false` where all have the same, and nothing moved. */
function moved(from: Items, to: Items, keys: Uint32Array, shift: number): boolean {
  const places = new Uint32Array(DIGITS);
  for (let i = 0; i < keys.length; i++) {
    const digit = ((keys[i] ?? 0) >>> shift) & 0xffff;
    places[digit] = (places[digit] ?? 0) + 1;
  }
  // Numbers that were float32 have the same lowest digit.
  if (places[((keys[0] ?? 0) >>> shift) & 0xffff] === keys.length) return false;
  let start = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const count = places[digit] ?? 0;
    places[digit] = start;
    start += count;
  }
  for (let i = 0; i < keys.length; i++) {
    const digit = ((keys[i] ?? 0) >>> shift) & 0xffff;
    const place = places[digit] ?? 0;
    places[digit] = place + 1;
    to.low[place] = from.low[i] ?? 0;
    to.high[place] = from.high[i] ?? 0;
    to.order[place] = from.order[i] ?? 0;
  }
  return true;
}

/** 64 bits for each number that are smaller the larger the number is. */
function keysOf(scores: Float64Array): Pick<Items, 'low' | 'high'> {
  const number = new Float64Array(1);
  const words = new Uint32Array(number.buffer);
  // Where the sign stands depends on the machine.
  number[0] = -1;
  const upper = words[1] === 0 ? 0 : 1;
  const low = new Uint32Array(scores.length);
  const high = new Uint32Array(scores.length);
  for (let i = 0; i < scores.length; i++) {
    // Minus zero is as large as zero.
    number[0] = (scores[i] ?? 0) + 0;
    const [a, b] = [words[1 - upper] ?? 0, words[upper] ?? 0];
    // As bits, positive numbers grow with their value and negative ones fall.
    const negative = b >>> 31 === 1;
    low[i] = negative ? a : ~a;
    high[i] = negative ? b : ~b ^ 0x80000000;
  }
  return { low, high };
}
