import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { findPython, packageRoot } from '../../client/platform/programs.ts';

/** What a column of a table of `range(n) r(i)` is made of: SQL, the same numbers on every machine. */
export interface Draws {
  /** In (0, 1); another salt gives another column. */
  uniform: (salt: number) => string;
  normal: (salt: number) => string;
}

/** Two hashes of the row number make a normal variable (Box and Muller 1958). */
export function drawsOf(seed: number): Draws {
  const uniform = (salt: number): string =>
    `((hash(i * 31 + ${seed * 1009 + salt}) % 1000003 + 0.5) / 1000003)`;
  const normal = (salt: number): string =>
    `sqrt(-2 * ln(${uniform(salt)})) * cos(2 * pi() * ${uniform(salt + 1)})`;
  return { uniform, normal };
}

/** Columns that `shift` moves, which every test of drift looks at. */
export const shiftedColumns = ({ uniform, normal }: Draws, shift: number): string => `
    ${normal(1)} + ${shift} AS moved,
    ${normal(3)} AS same,
    CAST(${normal(5)} * 20 + 300 + ${shift * 10} AS INTEGER) AS whole,
    TIMESTAMP '2025-01-01' + to_seconds(CAST(${uniform(9)} * 1e7 + ${shift * 1e6} AS BIGINT)) AS moment,
    chr(97 + CAST(floor(power(${uniform(15)}, ${1 + shift}) * 6) AS INTEGER)) AS letter,
    ${uniform(17)} < ${0.3 + shift / 5} AS flag`;

/** What a reference of test/integration, in Python, says about two files. */
export const bySciPy = (script: string, reference: string, current: string): unknown =>
  JSON.parse(
    execFileSync(
      findPython(undefined),
      [join(packageRoot(), 'test', 'integration', script), reference, current],
      { encoding: 'utf8' },
    ),
  );
