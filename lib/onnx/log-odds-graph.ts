import { CLIP } from '../statistics/log-odds.ts';
import type { OnnxGraphBuilder } from './graph.ts';

/** A float tensor as doubles, in which logarithms and sums lose nothing that a float32 could show. */
export const addDoubles = (graph: OnnxGraphBuilder, floats: string): string =>
  graph.op('Cast', [floats], { attributes: { to: 11n } });

/** {@link addDoubles} back. */
export const addFloats = (graph: OnnxGraphBuilder, doubles: string): string =>
  graph.op('Cast', [doubles], { attributes: { to: 1n } });

/** Nodes of `safeLog` (lib/statistics/log-odds.ts): the logarithm of probabilities in double. */
export const addSafeLog = (graph: OnnxGraphBuilder, probabilities: string): string =>
  graph.op('Log', [addClip(graph, probabilities)]);

/** Nodes of `logOdds` (lib/statistics/log-odds.ts), in double. */
export function addLogOdds(graph: OnnxGraphBuilder, probabilities: string): string {
  const kept = addClip(graph, probabilities);
  const one = graph.initializer('one', { type: 'double', dims: [], data: [1] });
  return graph.op('Sub', [graph.op('Log', [kept]), graph.op('Log', [graph.op('Sub', [one, kept])])]);
}

/** By comparisons, which are false for NaN: what `Clip` makes of it depends on the host. */
function addClip(graph: OnnxGraphBuilder, probabilities: string): string {
  const low = graph.initializer('low', { type: 'double', dims: [], data: [CLIP] });
  const high = graph.initializer('high', { type: 'double', dims: [], data: [1 - CLIP] });
  const raised = graph.op('Where', [graph.op('Less', [probabilities, low]), low, probabilities]);
  return graph.op('Where', [graph.op('Greater', [raised, high]), high, raised]);
}
