/** A feature in a few bins, `[n]`. */
export interface BinnedFeature {
  bins: Uint8Array;
  /** Bins in all, at most 256. */
  count: number;
  /** Whether bins have an order; those of categories are split off one by one. */
  ordered: boolean;
}

/** How trees are grown. */
export interface BoostingOptions {
  trees: number;
  depth: number;
  learningRate: number;
  /** Rows of a leaf, weighted by how unsure they are; and how much leaves are held back. */
  leastWeight: number;
  ridge: number;
}

const DEFAULTS: BoostingOptions = { trees: 40, depth: 3, learningRate: 0.2, leastWeight: 5, ridge: 1 };

interface Split {
  feature: number;
  bin: number;
  gain: number;
}

/**
 * Log-odds of rows by boosted trees over binned features (Friedman 2001, with Newton’s leaves and histograms as in
 * Chen and Guestrin 2016). The same rows give the same digits.
 *
 * @param outcomes 1 or 0, `[n]`; of rows that are not learned from they are not looked at
 * @param learned 1 for the rows that are learned from, `[n]`
 * @returns log-odds of all rows, `[n]`, and what each feature has brought
 */
export function boostedLogOdds(
  features: readonly BinnedFeature[],
  outcomes: Uint8Array,
  learned: Uint8Array,
  options: Partial<BoostingOptions> = {},
): { logOdds: Float64Array; gains: Float64Array } {
  const own = { ...DEFAULTS, ...options };
  const rows = outcomes.length;
  const logOdds = new Float64Array(rows);
  const gains = new Float64Array(features.length);
  const gradients = new Float64Array(rows);
  const weights = new Float64Array(rows);
  const nodes = new Uint8Array(rows);
  for (let tree = 0; tree < own.trees; tree++) {
    derive(outcomes, learned, logOdds, gradients, weights);
    nodes.fill(0);
    for (let level = 0; level < own.depth; level++) {
      const count = 2 ** level;
      const splits = bestSplits(features, { nodes, gradients, weights }, count, own);
      for (const split of splits) if (split) gains[split.feature] = (gains[split.feature] ?? 0) + split.gain;
      for (let i = 0; i < rows; i++) nodes[i] = (nodes[i] ?? 0) * 2;
      for (const [node, split] of splits.entries()) if (split) part(features, nodes, node * 2, split);
    }
    grow(logOdds, nodes, leavesOf({ nodes, gradients, weights }, 2 ** own.depth, own));
  }
  return { logOdds, gains };
}

interface Rows {
  nodes: Uint8Array;
  gradients: Float64Array;
  weights: Float64Array;
}

function derive(
  outcomes: Uint8Array,
  learned: Uint8Array,
  logOdds: Float64Array,
  gradients: Float64Array,
  weights: Float64Array,
): void {
  for (let i = 0; i < outcomes.length; i++) {
    const p = 1 / (1 + Math.exp(-(logOdds[i] ?? 0)));
    const counts = learned[i] ?? 0;
    gradients[i] = counts * ((outcomes[i] ?? 0) - p);
    weights[i] = counts * p * (1 - p);
  }
}

/** The best split of each node; `undefined` where none brings anything. */
function bestSplits(
  features: readonly BinnedFeature[],
  rows: Rows,
  count: number,
  options: BoostingOptions,
): (Split | undefined)[] {
  const best = new Array<Split | undefined>(count).fill(undefined);
  for (const [feature, { bins, count: width, ordered }] of features.entries()) {
    const g = new Float64Array(count * width);
    const h = new Float64Array(count * width);
    sumUp(bins, width, rows, g, h);
    for (let node = 0; node < count; node++) {
      const found = bestBin(g, h, node * width, width, ordered, options);
      if (found && found.gain > (best[node]?.gain ?? 0)) best[node] = { feature, ...found };
    }
  }
  return best;
}

function sumUp(bins: Uint8Array, width: number, rows: Rows, g: Float64Array, h: Float64Array): void {
  const { nodes, gradients, weights } = rows;
  for (let i = 0; i < bins.length; i++) {
    const cell = (nodes[i] ?? 0) * width + (bins[i] ?? 0);
    g[cell] = (g[cell] ?? 0) + (gradients[i] ?? 0);
    h[cell] = (h[cell] ?? 0) + (weights[i] ?? 0);
  }
}

/** The bin up to which, or which alone, rows go apart. */
function bestBin(
  g: Float64Array,
  h: Float64Array,
  from: number,
  width: number,
  ordered: boolean,
  { leastWeight, ridge }: BoostingOptions,
): { bin: number; gain: number } | undefined {
  let sumG = 0;
  let sumH = 0;
  for (let i = from; i < from + width; i++) {
    sumG += g[i] ?? 0;
    sumH += h[i] ?? 0;
  }
  const score = (x: number, y: number): number => (x * x) / (y + ridge);
  let best: { bin: number; gain: number } | undefined;
  let leftG = 0;
  let leftH = 0;
  for (let bin = 0; bin < width; bin++) {
    leftG = (ordered ? leftG : 0) + (g[from + bin] ?? 0);
    leftH = (ordered ? leftH : 0) + (h[from + bin] ?? 0);
    if (leftH < leastWeight || sumH - leftH < leastWeight) continue;
    const gain = score(leftG, leftH) + score(sumG - leftG, sumH - leftH) - score(sumG, sumH);
    if (gain > (best?.gain ?? 1e-9)) best = { bin, gain };
  }
  return best;
}

/** Sends the rows of a node to its right child that do not go left. */
function part(features: readonly BinnedFeature[], nodes: Uint8Array, left: number, split: Split): void {
  const { bins = new Uint8Array(), ordered = true } = features[split.feature] ?? {};
  for (let i = 0; i < nodes.length; i++) {
    if (nodes[i] !== left) continue;
    const bin = bins[i] ?? 0;
    if (ordered ? bin > split.bin : bin !== split.bin) nodes[i] = left + 1;
  }
}

function leavesOf(
  { nodes, gradients, weights }: Rows,
  count: number,
  options: BoostingOptions,
): Float64Array {
  const g = new Float64Array(count);
  const h = new Float64Array(count);
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i] ?? 0;
    g[node] = (g[node] ?? 0) + (gradients[i] ?? 0);
    h[node] = (h[node] ?? 0) + (weights[i] ?? 0);
  }
  return g.map((sum, node) => (options.learningRate * sum) / ((h[node] ?? 0) + options.ridge));
}

function grow(logOdds: Float64Array, nodes: Uint8Array, leaves: Float64Array): void {
  for (let i = 0; i < nodes.length; i++) logOdds[i] = (logOdds[i] ?? 0) + (leaves[nodes[i] ?? 0] ?? 0);
}
