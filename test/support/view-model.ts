import type { ModelInput, ServedModel, ServedView } from '../../contracts/serving.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';

const HOUR_US = 3_600_000_000;

/** Two columns over the events of a customer, or of whom `entity` says: their number, and the sum of their values. */
export function spending(own: Partial<ServedView> = {}): ServedView {
  return {
    name: 'spending',
    store: 'shop/spending',
    entity: ['customer'],
    values: 1,
    columns: [
      { input: 'spending_count_1h', aggregate: 'count', value: 0, window: HOUR_US, default: 7 },
      { input: 'spending_total_1d', aggregate: 'sum', value: 0, window: 24 * HOUR_US, default: null },
    ],
    ttlMs: null,
    unavailable: 'default',
    ...own,
  };
}

/** What {@link viewModel} must answer; `undefined` is a missing value. */
export const viewPrediction = (amount: number, count?: number, total?: number, add = 0): number =>
  amount + (count === undefined ? -1_000 : 10 * count) + (total === undefined ? -5_000 : 100 * total) + add;

/** A model of an amount alone, which it gives back with `add` on top: as it was before there were views. */
export async function plainModel(store: ArtifactStore, version: string, add = 0): Promise<ServedModel> {
  const graph = new OnnxGraphBuilder('plain');
  const more = graph.initializer('add', { type: 'float', dims: [], data: [add] });
  graph.op('Add', [graph.input('amount', 'float', ['batch']), more], { output: 'prediction' });
  graph.output('prediction', 'float', ['batch']);
  return {
    version,
    onnx: await store.putBytes(graph.build(), 'application/onnx'),
    signature: {
      inputs: [{ name: 'amount', kind: 'numeric', optional: false }],
      outputs: [{ name: 'prediction', kind: 'float' }],
    },
  };
}

/**
 * A model of an amount and the two columns of {@link spending}: {@link viewPrediction}. Other inputs are taken and
 * passed over.
 */
export async function viewModel(
  store: ArtifactStore,
  version: string,
  {
    views = [spending()],
    others = [],
    add = 0,
  }: { views?: ServedView[]; others?: ModelInput[]; add?: number } = {},
): Promise<ServedModel> {
  const graph = new OnnxGraphBuilder('views');
  const scalar = (name: string, value: number): string =>
    graph.initializer(name, { type: 'float', dims: [], data: [value] });
  const part = (input: string, factor: number, missing: number): string => {
    const value = graph.input(input, 'float', ['batch']);
    const scaled = graph.op('Mul', [value, scalar(`${input}-factor`, factor)]);
    return graph.op('Where', [graph.op('IsNaN', [value]), scalar(`${input}-missing`, missing), scaled]);
  };
  const amount = graph.input('amount', 'float', ['batch']);
  const parts = [amount, part('spending_count_1h', 10, -1_000), part('spending_total_1d', 100, -5_000)];
  for (const { name, kind } of others) {
    const isText = kind === 'text' || kind === 'categorical';
    const type = isText ? 'string' : kind === 'datetime' ? 'double' : 'float';
    const value = graph.input(name, type, ['batch']);
    // As many zeros as there are rows.
    const rows = graph.op('Shape', [value]);
    parts.push(graph.op('ConstantOfShape', [rows], { output: `${name}-nothing` }));
  }
  const sum = graph.op('Sum', parts);
  graph.op('Add', [sum, scalar('add', add)], { output: 'prediction' });
  graph.output('prediction', 'float', ['batch']);
  const numeric = (name: string, optional: boolean): ModelInput => ({ name, kind: 'numeric', optional });
  return {
    version,
    onnx: await store.putBytes(graph.build(), 'application/onnx'),
    signature: {
      inputs: [
        numeric('amount', false),
        // As a model that was trained without a missing one has it: the view makes them optional.
        numeric('spending_count_1h', false),
        numeric('spending_total_1d', true),
        ...others,
      ],
      outputs: [{ name: 'prediction', kind: 'float' }],
    },
    views,
  };
}
