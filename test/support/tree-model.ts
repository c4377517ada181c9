import { ML_DOMAIN, OnnxGraphBuilder } from '../../lib/onnx/graph.ts';

/** A tree: a leaf's weights by score, or a split; `yes` is taken where `feature <= threshold`. */
export type Tree =
  | { leaf: readonly number[] }
  | { feature: number; threshold: number; missingYes?: boolean; yes: Tree; no: Tree };

/** A model of trees as exporters write them: float `[batch, columns]` in, `[batch, scores]` out. */
export function treeBytes(trees: readonly Tree[], columns: number, scores: number): Uint8Array {
  const nodes = { tree: [] as bigint[], id: [] as bigint[], feature: [] as bigint[], value: [] as number[] };
  const [modes, yes, no, missing]: [string[], bigint[], bigint[], bigint[]] = [[], [], [], []];
  const leaves = { tree: [] as bigint[], id: [] as bigint[], score: [] as bigint[], weight: [] as number[] };
  trees.forEach((tree, number) => {
    let next = 0;
    const add = (node: Tree): bigint => {
      const id = BigInt(next++);
      const at = modes.length;
      nodes.tree.push(BigInt(number));
      nodes.id.push(id);
      nodes.feature.push('leaf' in node ? 0n : BigInt(node.feature));
      nodes.value.push('leaf' in node ? 0 : node.threshold);
      modes.push('leaf' in node ? 'LEAF' : 'BRANCH_LEQ');
      missing.push('leaf' in node || !node.missingYes ? 0n : 1n);
      yes.push(0n);
      no.push(0n);
      if ('leaf' in node) {
        node.leaf.forEach((weight, score) => {
          leaves.tree.push(BigInt(number));
          leaves.id.push(id);
          leaves.score.push(BigInt(score));
          leaves.weight.push(weight);
        });
      } else {
        yes[at] = add(node.yes);
        no[at] = add(node.no);
      }
      return id;
    };
    add(tree);
  });
  const graph = new OnnxGraphBuilder('trees');
  const input = graph.input('features', 'float', ['batch', columns]);
  graph.op('TreeEnsembleRegressor', [input], {
    domain: ML_DOMAIN,
    output: 'prediction',
    attributes: {
      nodes_treeids: nodes.tree,
      nodes_nodeids: nodes.id,
      nodes_featureids: nodes.feature,
      nodes_values: nodes.value,
      nodes_modes: modes,
      nodes_truenodeids: yes,
      nodes_falsenodeids: no,
      nodes_missing_value_tracks_true: missing,
      target_treeids: leaves.tree,
      target_nodeids: leaves.id,
      target_ids: leaves.score,
      target_weights: leaves.weight,
      n_targets: BigInt(scores),
      post_transform: 'NONE',
    },
  });
  graph.output('prediction', 'float', ['batch', scores]);
  return graph.build();
}
