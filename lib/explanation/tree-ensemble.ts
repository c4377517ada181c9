import type { AttributeProto, NodeProto } from '../onnx/onnx_pb.ts';

/** How a node decides; a leaf does not. */
const MODES = ['LEAF', 'BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ'];
export const LEAF = 0;

/**
 * The trees of one `TreeEnsembleClassifier` or `TreeEnsembleRegressor` (`ai.onnx.ml` 1 to 3), as arrays over all
 * nodes. What they add up to is the score, before any transformation: for a binary classifier one number, else one
 * per class or target.
 */
export class TreeEnsemble {
  private constructor(
    /** First node of each tree. */
    readonly roots: Int32Array,
    /** `LEAF`, or the place in the list of modes. */
    readonly modes: Uint8Array,
    readonly features: Int32Array,
    readonly thresholds: Float32Array,
    /** Where a row goes whose condition holds, or does not. -1 for a leaf. */
    readonly yes: Int32Array,
    readonly no: Int32Array,
    /** 1: a missing value counts as if the condition held. */
    readonly missingYes: Uint8Array,
    /** What a leaf adds to each score, `[nodes, scores]`. */
    readonly weights: Float64Array,
    /** Scores of a row. */
    readonly scores: number,
    /** What is added to each score beside the trees. */
    readonly base: Float64Array,
    /** Relative frequencies of the nodes where the file tells them in a way that adds up, else nothing. */
    readonly hitRates: Float64Array | undefined,
  ) {}

  /** Nodes of all trees. */
  get nodes(): number {
    return this.modes.length;
  }

  /** The node that a row goes to from `node`. @param value of the node's feature, float32 */
  next(node: number, value: number): number {
    return this.#holds(node, value) ? (this.yes[node] ?? -1) : (this.no[node] ?? -1);
  }

  #holds(node: number, value: number): boolean {
    if (Number.isNaN(value)) return this.missingYes[node] === 1;
    const threshold = this.thresholds[node] ?? 0;
    switch (this.modes[node]) {
      case 1:
        return value <= threshold;
      case 2:
        return value < threshold;
      case 3:
        return value >= threshold;
      case 4:
        return value > threshold;
      case 5:
        return value === threshold;
      default:
        return value !== threshold;
    }
  }

  /**
   * What the trees add up to for rows of the feature matrix, `[rows, scores]`.
   *
   * @param matrix float32 `[rows, columns]`
   * @param covers how often each node was visited, is added to where it is given
   */
  scoresOf(matrix: Float32Array, columns: number, covers?: Float64Array): Float64Array {
    const rows = columns === 0 ? 0 : matrix.length / columns;
    const result = new Float64Array(rows * this.scores);
    for (let row = 0; row < rows; row++) {
      for (let k = 0; k < this.scores; k++) result[row * this.scores + k] = this.base[k] ?? 0;
      for (const root of this.roots) {
        let node = root;
        while (this.modes[node] !== LEAF) {
          if (covers) covers[node] = (covers[node] ?? 0) + 1;
          node = this.next(node, matrix[row * columns + (this.features[node] ?? 0)] ?? Number.NaN);
        }
        if (covers) covers[node] = (covers[node] ?? 0) + 1;
        for (let k = 0; k < this.scores; k++) {
          const at = row * this.scores + k;
          result[at] = (result[at] ?? 0) + (this.weights[node * this.scores + k] ?? 0);
        }
      }
    }
    return result;
  }

  /** The same trees with more added to each score beside them. @param base `[scores]` */
  plus(base: Float64Array): TreeEnsemble {
    return new TreeEnsemble(
      this.roots,
      this.modes,
      this.features,
      this.thresholds,
      this.yes,
      this.no,
      this.missingYes,
      this.weights,
      this.scores,
      this.base.map((value, k) => value + (base[k] ?? 0)),
      this.hitRates,
    );
  }

  /** Reads a node of a graph; nothing where it is none of the two operators, or uses what is not known here. */
  static of(node: NodeProto): TreeEnsemble | undefined {
    const classifier = node.opType === 'TreeEnsembleClassifier';
    if (!classifier && node.opType !== 'TreeEnsembleRegressor') return undefined;
    const read = new Attributes(node.attribute);
    if (read.has('nodes_values_as_tensor') || read.has('base_values_as_tensor')) return undefined;
    const part = classifier ? 'class' : 'target';
    const ids = read.integers(`${part}_ids`);
    const count = read.integers('nodes_nodeids').length;
    const modes = Uint8Array.from(read.texts('nodes_modes'), (mode) => Math.max(0, MODES.indexOf(mode)));
    if (read.texts('nodes_modes').some((mode) => !MODES.includes(mode)) || count === 0) return undefined;

    const places = new Map<string, number>();
    const trees = read.integers('nodes_treeids');
    read.integers('nodes_nodeids').forEach((id, index) => {
      places.set(`${trees[index]}/${id}`, index);
    });
    const child = (name: string): Int32Array =>
      Int32Array.from(read.integers(name), (id, index) =>
        modes[index] === LEAF ? -1 : (places.get(`${trees[index]}/${id}`) ?? -1),
      );
    const [yes, no] = [child('nodes_truenodeids'), child('nodes_falsenodeids')];
    const roots = rootsOf(modes, yes, no);
    if (!roots) return undefined;

    // All weights of one class: a binary classifier, whose one score is that of the second class.
    const kinds = new Set(ids);
    const binary = classifier && kinds.size === 1 && read.classes() === 2;
    const scores = classifier ? (binary ? 1 : read.classes()) : read.integer('n_targets', 1);
    const weights = new Float64Array(count * scores);
    const values = read.floats(`${part}_weights`);
    const ofTree = read.integers(`${part}_treeids`);
    const average = read.text('aggregate_function', 'SUM') === 'AVERAGE' ? 1 / roots.length : 1;
    if (!['SUM', 'AVERAGE'].includes(read.text('aggregate_function', 'SUM'))) return undefined;
    read.integers(`${part}_nodeids`).forEach((id, index) => {
      const at = (places.get(`${ofTree[index]}/${id}`) ?? 0) * scores + (binary ? 0 : (ids[index] ?? 0));
      weights[at] = (weights[at] ?? 0) + (values[index] ?? 0) * average;
    });
    const base = Float64Array.from({ length: scores }, (_, k) => read.floats('base_values')[k] ?? 0);
    if (read.floats('base_values').length > scores) return undefined;
    const missing = read.integers('nodes_missing_value_tracks_true');
    return new TreeEnsemble(
      roots,
      modes,
      Int32Array.from(read.integers('nodes_featureids')),
      Float32Array.from(read.floats('nodes_values')),
      yes,
      no,
      Uint8Array.from({ length: count }, (_, index) => missing[index] ?? 0),
      weights,
      scores,
      base,
      consistent(Float64Array.from(read.floats('nodes_hitrates')), modes, yes, no),
    );
  }
}

/** The nodes that nobody points to; nothing where a node has two parents or a child is missing. */
function rootsOf(modes: Uint8Array, yes: Int32Array, no: Int32Array): Int32Array | undefined {
  const parents = new Uint8Array(modes.length);
  for (let node = 0; node < modes.length; node++) {
    if (modes[node] === LEAF) continue;
    for (const child of [yes[node] ?? -1, no[node] ?? -1]) {
      if (child < 0 || parents[child] === 1) return undefined;
      parents[child] = 1;
    }
  }
  const roots = [...parents.keys()].filter((node) => parents[node] === 0);
  return roots.length === 0 ? undefined : Int32Array.from(roots);
}

/** Exporters that do not know the frequencies write 1 everywhere. */
function consistent(
  rates: Float64Array,
  modes: Uint8Array,
  yes: Int32Array,
  no: Int32Array,
): Float64Array | undefined {
  if (rates.length !== modes.length) return undefined;
  for (let node = 0; node < modes.length; node++) {
    if (modes[node] === LEAF) continue;
    const whole = rates[node] ?? 0;
    const parts = (rates[yes[node] ?? -1] ?? 0) + (rates[no[node] ?? -1] ?? 0);
    if (!(whole > 0) || Math.abs(whole - parts) > 1e-3 * whole) return undefined;
  }
  return rates;
}

/** Attributes of a node by name. */
class Attributes {
  readonly #byName: Map<string, AttributeProto>;
  readonly #texts = new TextDecoder();

  constructor(attributes: readonly AttributeProto[]) {
    this.#byName = new Map(attributes.map((attribute) => [attribute.name, attribute]));
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  integers(name: string): number[] {
    return (this.#byName.get(name)?.ints ?? []).map(Number);
  }

  integer(name: string, otherwise: number): number {
    const attribute = this.#byName.get(name);
    return attribute ? Number(attribute.i) : otherwise;
  }

  floats(name: string): number[] {
    return this.#byName.get(name)?.floats ?? [];
  }

  texts(name: string): string[] {
    return (this.#byName.get(name)?.strings ?? []).map((bytes) => this.#texts.decode(bytes));
  }

  text(name: string, otherwise: string): string {
    const attribute = this.#byName.get(name);
    return attribute ? this.#texts.decode(attribute.s) : otherwise;
  }

  classes(): number {
    return this.integers('classlabels_int64s').length || this.texts('classlabels_strings').length;
  }
}
