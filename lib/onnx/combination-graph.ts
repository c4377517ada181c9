import { PerennialError } from '../../contracts/errors.ts';
import type { Combination } from '../../contracts/finishing.ts';
import { averageWeights } from '../statistics/combined.ts';
import type { OnnxGraphBuilder } from './graph.ts';
import { addDoubles, addFloats, addLogOdds, addSafeLog } from './log-odds-graph.ts';
import type { ComposeOptions } from './model-outputs.ts';

/**
 * Adds how the answers of the members become one; `applyCombination` is the same in TypeScript.
 *
 * @param answers float `[batch]` or `[batch, classes]`, of each member
 * @returns a tensor of the same shape
 */
export function addCombination(
  graph: OnnxGraphBuilder,
  answers: readonly string[],
  combination: Combination,
  { task }: ComposeOptions,
): string {
  const [first] = answers;
  if (combination.method === 'average') {
    if (first !== undefined && answers.length === 1) return first;
    const weights = averageWeights(combination, answers.length);
    return addFloats(
      graph,
      addWeightedSum(graph, answers, weights, (doubles) => doubles),
    );
  }
  const { weights, intercepts } = combination;
  const scores = (of: (doubles: string) => string) => {
    const data = intercepts;
    const dims = task === 'multiclass' ? [data.length] : [];
    const intercept = graph.initializer('intercept', { type: 'double', dims, data });
    return graph.op('Add', [addWeightedSum(graph, answers, weights, of), intercept]);
  };
  switch (task) {
    case 'regression':
      return addFloats(
        graph,
        scores((doubles) => doubles),
      );
    case 'binary':
      return addFloats(graph, graph.op('Sigmoid', [scores((doubles) => addLogOdds(graph, doubles))]));
    case 'multiclass': {
      const attributes = { axis: 1n };
      return addFloats(
        graph,
        graph.op('Softmax', [scores((doubles) => addSafeLog(graph, doubles))], { attributes }),
      );
    }
  }
}

function addWeightedSum(
  graph: OnnxGraphBuilder,
  answers: readonly string[],
  weights: readonly number[],
  of: (doubles: string) => string,
): string {
  const terms = answers.map((answer, member) => {
    const data = [weights[member] ?? 0];
    const weight = graph.initializer('weight', { type: 'double', dims: [], data });
    return graph.op('Mul', [of(addDoubles(graph, answer)), weight]);
  });
  return graph.op('Sum', terms);
}

/** @throws PerennialError `InputInvalid` for a combination that does not fit the members or the classes */
export function requireCombination(
  combination: Combination,
  members: number,
  { task, classNames }: ComposeOptions,
): void {
  const refuse = (message: string): never => {
    throw new PerennialError('InputInvalid', message);
  };
  if (members === 0) refuse('An ensemble needs a member.');
  const { weights } = combination;
  if (weights && weights.length !== members)
    refuse(`The ensemble has ${members} members, but ${weights.length} weights.`);
  if (combination.method === 'average') {
    const sum = weights?.reduce((total, weight) => total + weight, 0) ?? 1;
    if (!(sum > 0 && Number.isFinite(sum) && weights?.every((weight) => weight >= 0) !== false))
      refuse('The weights of an average are 0 or more, and one of them is more.');
    return;
  }
  const wanted = task === 'multiclass' ? classNames.length : 1;
  if (combination.intercepts.length !== wanted)
    refuse(`The stack has ${combination.intercepts.length} intercepts, the model needs ${wanted}.`);
  if (![...combination.weights, ...combination.intercepts].every(Number.isFinite))
    refuse('A weight or an intercept of the stack is no finite number.');
}
