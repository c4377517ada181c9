/**
 * The distribution of the two-sided Kolmogorov-Smirnov statistic for one sample of `n`, as
 * `scipy.stats.kstwo.sf`: Simard and L'Ecuyer, "Computing the two-sided Kolmogorov-Smirnov distribution", Journal of
 * Statistical Software 39 (2011), in the regions that SciPy uses.
 */

/** Below this size, exact formulas serve everywhere. */
const SMALL = 140;

/**
 * The probability that the statistic is greater than `d`.
 *
 * @param n size of the sample, a whole number
 * @example kolmogorovSurvival(100, 0.1) // 0.2574…
 */
function kolmogorovSurvival(n: number, d: number): number {
  if (d >= 1) return 0;
  const nd = n * d;
  if (nd <= 0.5) return 1;
  if (nd >= n - 1) return clip(2 * (1 - d) ** n);
  const ndd = nd * d;
  if (d >= 0.5) return clip(2 * oneSided(n, d));
  if (n <= SMALL) return clip(ndd <= 4 ? 1 - durbin(n, d) : 2 * oneSided(n, d));
  if (ndd >= 370) return 0;
  if (ndd >= 2.2) return clip(2 * oneSided(n, d));
  return clip(1 - (n <= 100_000 && n * d ** 1.5 <= 1.4 ? durbin(n, d) : pelzGood(n, d)));
}

/**
 * The p-value of the two-sample test, as `scipy.stats.ks_2samp(method="asymp")`.
 *
 * @param statistic the greatest distance of the two empirical distribution functions
 */
export const twoSamplePValue = (statistic: number, first: number, second: number): number =>
  kolmogorovSurvival(Math.max(1, roundHalfEven((first * second) / (first + second))), statistic);

const clip = (p: number): number => Math.min(1, Math.max(0, p));

function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** P(D⁺ > d) by the sum of Birnbaum and Tingey (1951); all its terms are positive. */
function oneSided(n: number, d: number): number {
  let sum = 0;
  let logBinomial = 0;
  const last = Math.floor(n * (1 - d));
  for (let j = 0; j <= last; j++) {
    if (j > 0) logBinomial += Math.log((n - j + 1) / j);
    const rest = 1 - d - j / n;
    if (rest <= 0) continue;
    sum += Math.exp(logBinomial + (j - 1) * Math.log(d + j / n) + (n - j) * Math.log(rest));
  }
  return d * sum;
}

/** P(D ≤ d) by Durbin's matrix, as Marsaglia, Tsang and Wang (2003) compute it. */
function durbin(n: number, d: number): number {
  const k = Math.ceil(n * d);
  const h = k - n * d;
  const m = 2 * k - 1;
  let power = identity(m);
  let powerExponent = 0;
  let square = durbinMatrix(m, h);
  let squareExponent = 0;
  const middle = (k - 1) * m + k - 1;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) {
      power = product(power, square, m);
      powerExponent += squareExponent;
    }
    square = product(square, square, m);
    squareExponent *= 2;
    if ((square[middle] ?? 0) > 1e140) {
      square = square.map((value) => value * 1e-140);
      squareExponent += 140;
    }
  }
  let probability = power[middle] ?? 0;
  for (let i = 1; i <= n; i++) {
    probability = (probability * i) / n;
    if (probability < 1e-140) {
      probability *= 1e140;
      powerExponent -= 140;
    }
  }
  return probability * 10 ** powerExponent;
}

function durbinMatrix(m: number, h: number): Float64Array {
  const matrix = new Float64Array(m * m);
  const factorial = [1];
  for (let i = 1; i <= m; i++) factorial.push((factorial[i - 1] ?? 1) * i);
  for (let i = 0; i < m; i++)
    for (let j = 0; j <= Math.min(i + 1, m - 1); j++) matrix[i * m + j] = 1 / (factorial[i - j + 1] ?? 1);
  for (let i = 0; i < m; i++) {
    const value = (1 - h ** (i + 1)) / (factorial[i + 1] ?? 1);
    matrix[i * m] = value;
    matrix[(m - 1) * m + (m - 1 - i)] = value;
  }
  const corner = 1 - 2 * h ** m + Math.max(2 * h - 1, 0) ** m;
  matrix[(m - 1) * m] = corner / (factorial[m] ?? 1);
  return matrix;
}

function identity(m: number): Float64Array {
  const matrix = new Float64Array(m * m);
  for (let i = 0; i < m; i++) matrix[i * m + i] = 1;
  return matrix;
}

function product(a: Float64Array, b: Float64Array, m: number): Float64Array {
  const c = new Float64Array(m * m);
  for (let i = 0; i < m; i++)
    for (let k = 0; k < m; k++) {
      const value = a[i * m + k] ?? 0;
      if (value !== 0)
        for (let j = 0; j < m; j++) c[i * m + j] = (c[i * m + j] ?? 0) + value * (b[k * m + j] ?? 0);
    }
  return c;
}

/** P(D ≤ d) by the series of Pelz and Good (1976), good for large n. */
function pelzGood(n: number, d: number): number {
  const z = Math.sqrt(n) * d;
  const z2 = z * z;
  const z4 = z2 * z2;
  const z6 = z4 * z2;
  const pi2 = Math.PI ** 2;
  const pi4 = pi2 * pi2;
  const exponent = -pi2 / 8 / z2;
  if (exponent < -708) return 0;
  const terms = Math.ceil((16 * z) / Math.PI);
  const sums = [0, 0, 0, 0];
  for (let k = 1; k <= terms; k++) {
    const m2 = (2 * k - 1) ** 2;
    const weight = Math.exp(exponent * m2);
    const coefficients = [
      1,
      -z2 + (pi2 / 4) * m2,
      6 * z6 + 2 * z4 + ((2 * z4 - 5 * z2) * pi2 * m2) / 4 + (pi4 * (1 - 2 * z2) * m2 * m2) / 16,
      -30 * z6 -
        90 * z4 * z4 +
        (pi2 * (135 * z4 - 96 * z6) * m2) / 4 +
        (pi4 * (-60 * z2 + 212 * z4) * m2 * m2) / 16 +
        (pi4 * pi2 * (5 - 30 * z2) * m2 ** 3) / 64,
    ];
    for (const [i, coefficient] of coefficients.entries()) sums[i] = (sums[i] ?? 0) + coefficient * weight;
  }
  const root = Math.sqrt(2 * Math.PI);
  const scale = [z, 6 * z4, 72 * z6 * z, 6480 * z6 * z4];
  let extra2 = 0;
  let extra3 = 0;
  for (let k = 1; k <= terms; k++) {
    const weight = Math.exp((-pi2 / 2 / z2) * k * k);
    extra2 += k * k * weight;
    extra3 += (3 * z2 - pi2 * k * k) * k * k * weight;
  }
  const extra = [0, 0, (extra2 * pi2 * root) / (-36 * z2 * z), (extra3 * pi2 * root) / (216 * z6)];
  return sums.reduce(
    (total, sum, i) => total + ((sum * root) / (scale[i] ?? 1) + (extra[i] ?? 0)) / n ** (i / 2),
    0,
  );
}
