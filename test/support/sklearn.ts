import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { findPython } from '../../client/platform/programs.ts';
import type { FeaturePlan } from '../../lib/features/feature-plan.ts';

const SCRIPT = fileURLToPath(new URL('../integration/features_sklearn.py', import.meta.url));

/** Matrix columns by name; `null` is NaN. */
export type SklearnAnswer = Record<string, (number | null)[]>;

/** A Python process that works features out with scikit-learn, request after request. */
export class Sklearn {
  readonly #process = spawn(findPython(undefined), ['-W', 'ignore', SCRIPT], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  readonly #lines = createInterface(this.#process.stdout)[Symbol.asyncIterator]();

  async ask(request: object): Promise<SklearnAnswer> {
    this.#process.stdin.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#lines.next();
    const answer = JSON.parse(String(value));
    if (typeof answer.error === 'string') throw new Error(answer.error);
    return answer;
  }

  close(): void {
    this.#process.stdin.end();
  }
}

/** How far a scaled value may be off where its offset, a float32, is large beside its scale. */
function resolution(plan: FeaturePlan, source: string, name: string): number {
  const column = [...plan.columns, ...plan.derived].find((own) => own.name === source);
  const value =
    column?.kind === 'numeric'
      ? column.value
      : column?.kind === 'datetime'
        ? column.parts.find(({ part }) => name === `${source}.${part}`)?.value
        : undefined;
  return value ? (2 ** -23 * Math.abs(value.offset)) / Math.abs(value.scale) : 0;
}

/** Expects the columns of a matrix to be those of scikit-learn, to 1e-6. */
export function compare(
  plan: FeaturePlan,
  found: ReadonlyMap<string, number[]>,
  expected: SklearnAnswer,
): void {
  // A column that says nothing has no place in the matrix; the notes tell so.
  const silent = plan.notes.flatMap((note) => /^Column "(.*)":/.exec(note)?.[1] ?? []);
  const isSilent = (name: string) =>
    silent.some((own) => name === own || [' (', '=', ':', ' is '].some((end) => name.startsWith(own + end)));
  // Of texts there is no such column in scikit-learn.
  const isText = (name: string) =>
    [...plan.columns, ...plan.derived].some(
      (column) => name === `${column.name} is missing` && column.kind === 'categorical',
    );
  expect([...found.keys()].filter((name) => !isText(name)).sort()).toEqual(
    Object.keys(expected)
      .filter((name) => !isSilent(name))
      .sort(),
  );
  for (const { name, source } of plan.matrix) {
    const own = expected[name];
    const values = found.get(name) ?? [];
    own?.forEach((value, row) => {
      const actual = values[row] ?? Number.NaN;
      if (value === null) expect(actual, `${name}, row ${row}`).toBeNaN();
      else
        expect(
          Math.abs(actual - value),
          `${name}, row ${row}: ${actual} instead of ${value}`,
        ).toBeLessThanOrEqual(
          1e-6 * Math.max(1, Math.abs(value)) + resolution(plan, source, name) * (1 + Math.abs(value)),
        );
    });
  }
}
