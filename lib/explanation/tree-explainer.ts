import { InferenceSession, Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import type { Attribution, AttributionUnit, ExplainerFile } from '../../contracts/explanation.ts';
import type { ColumnBatch, InputColumn } from '../onnx/tabular-session.ts';
import { type Link, linkOf } from './link.ts';
import type { Predictor } from './predictor.ts';
import { treeModel } from './tree-model.ts';
import { TreeShap } from './tree-shap.ts';

/** TreeSHAP on the feature matrix, summed to the raw columns. */
export class TreeExplainer {
  private constructor(
    private readonly session: InferenceSession,
    private readonly matrix: string,
    private readonly shap: TreeShap,
    private readonly link: Link,
    private readonly file: ExplainerFile,
    private readonly predictor: Predictor,
    private readonly inputs: readonly string[],
  ) {}

  get unit(): AttributionUnit {
    return this.link.unit;
  }

  get cost(): number {
    return this.shap.cost;
  }

  /** Nothing where the model is no tree ensemble after all. */
  static async create(
    model: Uint8Array,
    file: ExplainerFile,
    predictor: Predictor,
    background: ColumnBatch,
  ): Promise<TreeExplainer | undefined> {
    const trees = treeModel(model);
    if (!trees) return undefined;
    const { ensemble } = trees;
    const width = file.sources.length;
    if (ensemble.features.some((feature) => feature >= width) || file.covers.length !== ensemble.nodes)
      throw new PerennialError(
        'ModelInvalid',
        'the explainer file belongs to another model: run the stage explain again',
      );
    const session = await InferenceSession.create(trees.matrixModel, {
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
    });
    const matrix = await matrixOf(session, trees.matrix, background);
    const scores = ensemble.scoresOf(matrix, width);
    const link = linkOf(scores, ensemble.scores, await predictor.answers(background), predictor.outputs);
    if (!link) {
      await session.release();
      return undefined;
    }
    const shap = new TreeShap(ensemble, Float64Array.from(file.covers), width);
    const inputs = [...background.columns.keys()];
    return new TreeExplainer(session, trees.matrix, shap, link, file, predictor, inputs);
  }

  async explain(row: ColumnBatch): Promise<Attribution[]> {
    const features = await matrixOf(this.session, this.matrix, row);
    const perColumn = this.shap.contributions(features);
    const width = this.shap.base.length;
    return this.predictor.outputs.map((output, k) => {
      const { score, sign, shift } = this.link.outputs[k] ?? { score: 0, sign: 1, shift: 0 };
      const raw = new Float64Array(this.inputs.length);
      this.file.sources.forEach((sources, column) => {
        const value = sign * (perColumn[column * width + score] ?? 0);
        for (const source of sources) raw[source] = (raw[source] ?? 0) + value / sources.length;
      });
      const base = shift + sign * (this.shap.base[score] ?? 0);
      return {
        output,
        answer: base + raw.reduce((sum, value) => sum + value, 0),
        base,
        contributions: this.inputs.map((column, i) => ({ column, value: raw[i] ?? 0, error: 0 })),
      };
    });
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}

async function matrixOf(
  session: InferenceSession,
  output: string,
  batch: ColumnBatch,
): Promise<Float32Array> {
  const feeds = Object.fromEntries(
    session.inputNames.map((name) => [name, tensorOf(batch.columns.get(name) ?? [], batch.rows)]),
  );
  const result = await session.run(feeds, [output]).catch((cause: unknown) => {
    // The engine's own words may quote the row.
    throw new PerennialError('ModelInvalid', 'the features of the row cannot be computed', false, { cause });
  });
  const data = result[output]?.data;
  if (!(data instanceof Float32Array))
    throw new PerennialError('ModelInvalid', 'the feature matrix of the model is no float tensor');
  return data;
}

const tensorOf = (column: InputColumn, rows: number): Tensor =>
  column instanceof Float32Array
    ? new Tensor('float32', column, [rows])
    : column instanceof Float64Array
      ? new Tensor('float64', column, [rows])
      : new Tensor('string', [...column], [rows]);
