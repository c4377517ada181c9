const MOST_SWEEPS = 60;

/** The principal axes of a symmetric matrix. */
export interface Eigen {
  /** Descending. */
  values: Float64Array;
  /** `vectors[i]` belongs to `values[i]`: of length 1, at right angles to the others. */
  vectors: Float64Array[];
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix by Jacobi's rotations (Golub and Van Loan 2013, 8.5).
 *
 * @param matrix row-major `[n, n]`; up to a few hundred rows take a moment
 */
export function symmetricEigen(matrix: Float64Array, n: number): Eigen {
  const a = matrix.slice();
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0; sweep < MOST_SWEEPS && offDiagonal(a, n) > 1e-15; sweep++)
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  const order = Array.from({ length: n }, (_, i) => i).sort(
    (i, j) => (a[j * n + j] ?? 0) - (a[i * n + i] ?? 0),
  );
  return {
    values: Float64Array.from(order, (i) => a[i * n + i] ?? 0),
    // Row by row: `v` holds them transposed.
    vectors: order.map((i) => v.slice(i * n, (i + 1) * n)),
  };
}

/** What is left beside the diagonal, against what is on it. */
function offDiagonal(a: Float64Array, n: number): number {
  let [off, on] = [0, 0];
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const square = (a[i * n + j] ?? 0) ** 2;
      if (i === j) on += square;
      else off += square;
    }
  return on === 0 ? 0 : Math.sqrt(off / on);
}

/** Makes one cell beside the diagonal zero. */
function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q] ?? 0;
  if (apq === 0) return;
  const theta = ((a[q * n + q] ?? 0) - (a[p * n + p] ?? 0)) / (2 * apq);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const [x, y] = [a[k * n + p] ?? 0, a[k * n + q] ?? 0];
    a[k * n + p] = c * x - s * y;
    a[k * n + q] = s * x + c * y;
  }
  turn(a, n, p, q, c, s);
  turn(v, n, p, q, c, s);
}

/** Turns two rows into each other. */
function turn(m: Float64Array, n: number, p: number, q: number, c: number, s: number): void {
  for (let k = 0; k < n; k++) {
    const [x, y] = [m[p * n + k] ?? 0, m[q * n + k] ?? 0];
    m[p * n + k] = c * x - s * y;
    m[q * n + k] = s * x + c * y;
  }
}
