import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { LEAF, type TreeEnsemble } from '../../lib/explanation/tree-ensemble.ts';
import { treeModel } from '../../lib/explanation/tree-model.ts';
import { TreeShap } from '../../lib/explanation/tree-shap.ts';
import { type Tree, treeBytes } from '../support/tree-model.ts';

const COLUMNS = 4;

function randomTree(random: () => number, depth: number, scores: number): Tree {
  if (depth === 0 || random() < 0.2)
    return { leaf: Array.from({ length: scores }, () => Math.fround(random() * 4 - 2)) };
  return {
    feature: Math.floor(random() * COLUMNS),
    threshold: Math.fround(random()),
    missingYes: random() < 0.5,
    yes: randomTree(random, depth - 1, scores),
    no: randomTree(random, depth - 1, scores),
  };
}

function ensembleOf(trees: readonly Tree[], scores: number): TreeEnsemble {
  const found = treeModel(treeBytes(trees, COLUMNS, scores));
  if (!found) throw new Error('no trees');
  return found.ensemble;
}

const matrix = (random: () => number, rows: number): Float32Array =>
  Float32Array.from({ length: rows * COLUMNS }, () => (random() < 0.1 ? Number.NaN : random()));

/** The score where only the columns of a set are known: the rest goes both ways, as the training rows did. */
function expected(
  ensemble: TreeEnsemble,
  covers: Float64Array,
  row: Float32Array,
  known: number,
  score: number,
): number {
  const at = (node: number): number => {
    if (ensemble.modes[node] === LEAF) return ensemble.weights[node * ensemble.scores + score] ?? 0;
    const feature = ensemble.features[node] ?? 0;
    if (known & (1 << feature)) return at(ensemble.next(node, row[feature] ?? Number.NaN));
    const [yes, no] = [ensemble.yes[node] ?? 0, ensemble.no[node] ?? 0];
    const whole = (covers[yes] ?? 0) + (covers[no] ?? 0);
    const share = whole === 0 ? 0.5 : (covers[yes] ?? 0) / whole;
    return share * at(yes) + (1 - share) * at(no);
  };
  return ensemble.roots.reduce((sum, root) => sum + at(root), ensemble.base[score] ?? 0);
}

const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));

/** Shapley's formula over all sets of columns. */
function bruteForce(value: (known: number) => number): number[] {
  return Array.from({ length: COLUMNS }, (_, column) => {
    let sum = 0;
    for (let known = 0; known < 1 << COLUMNS; known++) {
      if (known & (1 << column)) continue;
      const size = [...known.toString(2)].filter((bit) => bit === '1').length;
      const weight = (factorial(size) * factorial(COLUMNS - size - 1)) / factorial(COLUMNS);
      sum += weight * (value(known | (1 << column)) - value(known));
    }
    return sum;
  });
}

describe('TreeSHAP', () => {
  it.each([1, 2, 3, 4, 5, 6])('equals the formula over all sets of columns (seed %i)', (seed) => {
    const random = seededRandom(seed);
    const scores = 1 + (seed % 2);
    const ensemble = ensembleOf(
      Array.from({ length: 3 }, () => randomTree(random, 5, scores)),
      scores,
    );
    const covers = new Float64Array(ensemble.nodes);
    // Few rows, so that some branches were never taken.
    ensemble.scoresOf(matrix(random, 15), COLUMNS, covers);
    const shap = new TreeShap(ensemble, covers, COLUMNS);
    for (let row = 0; row < 20; row++) {
      const features = matrix(random, 1);
      const found = shap.contributions(features);
      for (let score = 0; score < scores; score++) {
        const value = (known: number) => expected(ensemble, covers, features, known, score);
        bruteForce(value).forEach((wanted, column) => {
          expect(found[column * scores + score]).toBeCloseTo(wanted, 9);
        });
        expect(shap.base[score]).toBeCloseTo(value(0), 9);
      }
    }
  });

  it('adds up to the score, gives nothing to a column that is not used, and the same to columns that do the same', () => {
    const half = (feature: number): Tree => ({
      feature,
      threshold: 0.5,
      yes: { leaf: [0] },
      no: { leaf: [1] },
    });
    const ensemble = ensembleOf([half(0), half(1)], 1);
    const covers = new Float64Array(ensemble.nodes).fill(1);
    const shap = new TreeShap(ensemble, covers, COLUMNS);
    const row = Float32Array.of(0.9, 0.9, 0.3, Number.NaN);
    const found = shap.contributions(row);
    expect(found[0]).toBe(found[1]);
    expect([found[2], found[3]]).toEqual([0, 0]);
    const sum = found.reduce((total, value) => total + value, shap.base[0] ?? 0);
    expect(sum).toBeCloseTo(ensemble.scoresOf(row, COLUMNS)[0] ?? Number.NaN, 12);
  });

  it('sends a missing value where the file says', () => {
    const tree: Tree = { feature: 0, threshold: 0, missingYes: true, yes: { leaf: [3] }, no: { leaf: [1] } };
    const ensemble = ensembleOf([tree], 1);
    expect([...ensemble.scoresOf(Float32Array.of(Number.NaN, 0, 0, 0, 1, 0, 0, 0), COLUMNS)]).toEqual([3, 1]);
  });
});
