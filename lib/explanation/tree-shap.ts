import { LEAF, type TreeEnsemble } from './tree-ensemble.ts';

/**
 * Exact Shapley values of a tree ensemble, path-dependent: what is not known of a row is averaged over the branches
 * as the training rows took them (Lundberg, Erion and Lee 2018, "Consistent individualized feature attribution for
 * tree ensembles", algorithm 2; as LightGBM's and XGBoost's `pred_contrib`).
 *
 * @example
 * const shap = new TreeShap(ensemble, covers, 12);
 * const contributions = shap.contributions(row); // [12, scores]; with shap.base they add up to the score
 */
export class TreeShap {
  /** The mean score over the training rows, `[scores]`. */
  readonly base: Float64Array;
  /** Operations that one row takes, about. */
  readonly cost: number;
  readonly #largestDepth: number;
  /** For each tree the scores that it adds to. */
  readonly #scoresOf: Int32Array[];
  // The path of features from the root, one per depth, each after the other.
  readonly #feature: Int32Array;
  readonly #zero: Float64Array;
  readonly #one: Float64Array;
  readonly #weight: Float64Array;
  #row: Float32Array = new Float32Array(0);
  #result = new Float64Array(0);
  #scores: Int32Array = new Int32Array(0);

  /**
   * @param covers how many training rows came to each node, or anything in proportion, `[nodes]`
   * @param columns of the feature matrix
   */
  constructor(
    private readonly ensemble: TreeEnsemble,
    private readonly covers: Float64Array,
    private readonly columns: number,
  ) {
    const depths = Array.from(ensemble.roots, (root) => this.#depth(root));
    this.#largestDepth = Math.max(...depths.map(({ depth }) => depth)) + 2;
    this.cost = depths.reduce((sum, { depth, leaves }) => sum + leaves * depth * depth, 0);
    const room = (this.#largestDepth * (this.#largestDepth + 1)) / 2;
    this.#feature = new Int32Array(room);
    this.#zero = new Float64Array(room);
    this.#one = new Float64Array(room);
    this.#weight = new Float64Array(room);
    this.#scoresOf = Array.from(ensemble.roots, (root) => this.#added(root));
    this.base = ensemble.base.slice();
    for (const root of ensemble.roots)
      for (let k = 0; k < ensemble.scores; k++) this.base[k] = (this.base[k] ?? 0) + this.#mean(root, k);
  }

  /**
   * The contribution of each column of the feature matrix to each score of one row, `[columns, scores]`.
   *
   * @param row float32 `[columns]`
   */
  contributions(row: Float32Array): Float64Array {
    this.#row = row;
    this.#result = new Float64Array(this.columns * this.ensemble.scores);
    this.ensemble.roots.forEach((root, tree) => {
      this.#scores = this.#scoresOf[tree] ?? this.#scores;
      if (this.#scores.length > 0) this.#walk(root, 0, 0, 1, 1, -1);
    });
    return this.#result;
  }

  /** @param at where the path of this depth begins; the one above begins `depth` places before */
  #walk(node: number, depth: number, above: number, zero: number, one: number, feature: number): void {
    const at = above + depth;
    for (let i = 0; i < depth; i++) {
      this.#feature[at + i] = this.#feature[above + i] ?? 0;
      this.#zero[at + i] = this.#zero[above + i] ?? 0;
      this.#one[at + i] = this.#one[above + i] ?? 0;
      this.#weight[at + i] = this.#weight[above + i] ?? 0;
    }
    this.#extend(at, depth, zero, one, feature);
    if (this.ensemble.modes[node] === LEAF) {
      this.#leaf(node, at, depth);
      return;
    }
    const split = this.ensemble.features[node] ?? 0;
    const hot = this.ensemble.next(node, this.#row[split] ?? Number.NaN);
    const yes = this.ensemble.yes[node] ?? 0;
    const cold = hot === yes ? (this.ensemble.no[node] ?? 0) : yes;
    let [zeroBefore, oneBefore, length] = [1, 1, depth];
    // A feature counts once on a path: its earlier split is taken back and joined with this one.
    for (let i = 1; i <= depth; i++) {
      if (this.#feature[at + i] !== split) continue;
      zeroBefore = this.#zero[at + i] ?? 0;
      oneBefore = this.#one[at + i] ?? 0;
      this.#unwind(at, depth, i);
      length -= 1;
      break;
    }
    // What neither the row nor any training row reaches has no weight.
    const hotShare = this.#share(node, hot) * zeroBefore;
    if (hotShare > 0 || oneBefore > 0) this.#walk(hot, length + 1, at, hotShare, oneBefore, split);
    const coldShare = this.#share(node, cold) * zeroBefore;
    if (coldShare > 0) this.#walk(cold, length + 1, at, coldShare, 0, split);
  }

  #extend(at: number, depth: number, zero: number, one: number, feature: number): void {
    const weight = this.#weight;
    this.#feature[at + depth] = feature;
    this.#zero[at + depth] = zero;
    this.#one[at + depth] = one;
    weight[at + depth] = depth === 0 ? 1 : 0;
    for (let i = depth - 1; i >= 0; i--) {
      const own = weight[at + i] ?? 0;
      weight[at + i + 1] = (weight[at + i + 1] ?? 0) + (one * own * (i + 1)) / (depth + 1);
      weight[at + i] = (zero * own * (depth - i)) / (depth + 1);
    }
  }

  #unwind(at: number, depth: number, place: number): void {
    const weight = this.#weight;
    const [one, zero] = [this.#one[at + place] ?? 0, this.#zero[at + place] ?? 0];
    let next = weight[at + depth] ?? 0;
    for (let i = depth - 1; i >= 0; i--) {
      const own = weight[at + i] ?? 0;
      if (one !== 0) {
        const before = (next * (depth + 1)) / ((i + 1) * one);
        weight[at + i] = before;
        next = own - (before * zero * (depth - i)) / (depth + 1);
      } else weight[at + i] = (own * (depth + 1)) / (zero * (depth - i));
    }
    for (let i = place; i < depth; i++) {
      this.#feature[at + i] = this.#feature[at + i + 1] ?? 0;
      this.#zero[at + i] = this.#zero[at + i + 1] ?? 0;
      this.#one[at + i] = this.#one[at + i + 1] ?? 0;
    }
  }

  #leaf(node: number, at: number, depth: number): void {
    const { weights, scores } = this.ensemble;
    const weight = this.#weight;
    for (let i = 1; i <= depth; i++) {
      const [one, zero] = [this.#one[at + i] ?? 0, this.#zero[at + i] ?? 0];
      let total = 0;
      let next = weight[at + depth] ?? 0;
      for (let j = depth - 1; j >= 0; j--) {
        if (one !== 0) {
          const own = next / ((j + 1) * one);
          total += own;
          next = (weight[at + j] ?? 0) - own * zero * (depth - j);
        } else total += (weight[at + j] ?? 0) / (zero * (depth - j));
      }
      const change = total * (depth + 1) * (one - zero);
      const column = (this.#feature[at + i] ?? 0) * scores;
      for (const k of this.#scores) {
        const result = this.#result;
        result[column + k] = (result[column + k] ?? 0) + change * (weights[node * scores + k] ?? 0);
      }
    }
  }

  /** The share of a node's training rows that went to a child; half where there were none. */
  #share(node: number, child: number): number {
    const whole =
      (this.covers[this.ensemble.yes[node] ?? 0] ?? 0) + (this.covers[this.ensemble.no[node] ?? 0] ?? 0);
    return whole > 0 ? (this.covers[child] ?? 0) / whole : 0.5;
  }

  #mean(node: number, score: number): number {
    const { modes, yes, no, weights, scores } = this.ensemble;
    if (modes[node] === LEAF) return weights[node * scores + score] ?? 0;
    return [yes[node] ?? 0, no[node] ?? 0].reduce((sum, child) => {
      const share = this.#share(node, child);
      return share === 0 ? sum : sum + share * this.#mean(child, score);
    }, 0);
  }

  #depth(node: number): { depth: number; leaves: number } {
    if (this.ensemble.modes[node] === LEAF) return { depth: 0, leaves: 1 };
    const yes = this.#depth(this.ensemble.yes[node] ?? 0);
    const no = this.#depth(this.ensemble.no[node] ?? 0);
    return { depth: 1 + Math.max(yes.depth, no.depth), leaves: yes.leaves + no.leaves };
  }

  #added(root: number): Int32Array {
    const { modes, yes, no, weights, scores } = this.ensemble;
    const found = new Set<number>();
    const open = [root];
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      if (modes[node] !== LEAF) open.push(yes[node] ?? 0, no[node] ?? 0);
      else for (let k = 0; k < scores; k++) if (weights[node * scores + k] !== 0) found.add(k);
    }
    return Int32Array.from([...found].sort((a, b) => a - b));
  }
}
