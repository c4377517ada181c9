/**
 * Quantile of Student's t distribution (Abramowitz and Stegun 1964, 26.7.5): four digits from 10 degrees of freedom on.
 *
 * @param share above 0.5 and below 1
 * @param freedom degrees of freedom
 * @example studentQuantile(0.975, 30) // 2.0423
 */
export function studentQuantile(share: number, freedom: number): number {
  const z = normalQuantile(share);
  const s = z * z;
  return (
    z +
    (z * (s + 1)) / (4 * freedom) +
    (z * ((5 * s + 16) * s + 3)) / (96 * freedom ** 2) +
    (z * (((3 * s + 19) * s + 17) * s - 15)) / (384 * freedom ** 3) +
    (z * ((((79 * s + 776) * s + 1482) * s - 1920) * s - 945)) / (92_160 * freedom ** 4)
  );
}

/** Winitzki's inverse of the error function, made exact by three steps of Newton's method on its series. */
function normalQuantile(share: number): number {
  const x = 2 * share - 1;
  const log = Math.log(1 - x * x);
  const part = 2 / (Math.PI * 0.147) + log / 2;
  let z = Math.SQRT2 * Math.sqrt(Math.sqrt(part * part - log / 0.147) - part);
  for (let step = 0; step < 3; step++) {
    const density = Math.exp(-z * z * 0.5) / Math.sqrt(2 * Math.PI);
    z -= (normalShare(z, density) - share) / density;
  }
  return z;
}

/** The share of the normal distribution below z ≥ 0 (Marsaglia 2004). */
function normalShare(z: number, density: number): number {
  let [sum, term] = [z, z];
  for (let i = 3; term > sum * 1e-17; i += 2) {
    term *= (z * z) / i;
    sum += term;
  }
  return 0.5 + sum * density;
}
