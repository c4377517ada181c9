const moment = new Float64Array(1);
const halves = new Uint32Array(moment.buffer);

/** The finaliser of MurmurHash3 (Appleby), 32 bits: each bit of the number changes half of those of the result. */
function mixed(number: number): number {
  let hash = Math.imul(number ^ (number >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/**
 * Where a request stands among all, from 0 up to, not including, 1, for shares of them: a hash of the moment at which
 * it arrived, to the nanosecond. The same for all that becomes of one request, such as its record and its copies. Its id
 * is the client's and may be the same for all of them, so that a share of ids would be all or nothing.
 *
 * @param arrived milliseconds of `performance.now()`
 */
export function samplePoint(arrived: number): number {
  moment[0] = arrived;
  return (mixed(mixed(halves[0] ?? 0) ^ (halves[1] ?? 0)) >>> 0) / 2 ** 32;
}
