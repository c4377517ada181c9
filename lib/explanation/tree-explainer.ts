import { InferenceSession, Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import type { Attribution, AttributionUnit, ExplainerFile } from '../../contracts/explanation.ts';
import type { ColumnBatch, InputColumn } from '../onnx/tabular-session.ts';
import { pick } from './columns.ts';
import { type Explained, largestGap, sumOf } from './explained.ts';
import { answersFrom, type Link, linkOf, ROUNDING, tolerance } from './link.ts';
import type { Predictor } from './predictor.ts';
import type { TreeEnsemble } from './tree-ensemble.ts';
import { treeModel } from './tree-model.ts';
import { TreeShap } from './tree-shap.ts';

/** Background rows on which the parts must add up to the model's own answers. */
const CHECKED_ROWS = 8;

/** TreeSHAP on the feature matrix, summed to the raw columns. */
export class TreeExplainer {
  private constructor(
    private readonly session: InferenceSession,
    private readonly matrix: string,
    private readonly ensemble: TreeEnsemble,
    private readonly shap: TreeShap,
    private readonly link: Link,
    /** The gap that rounding explains, see `tolerance`. */
    private readonly allowed: number,
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

  /** Nothing where the model is no tree ensemble after all, or says something else than its trees. */
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
    const answers = await predictor.answers(background);
    const link = linkOf(scores, ensemble.scores, answers, predictor.outputs);
    if (!link) {
      await session.release();
      return undefined;
    }
    const shap = new TreeShap(ensemble, Float64Array.from(file.covers), width);
    const inputs = [...background.columns.keys()];
    const allowed = tolerance(
      { score: scores, target: answers, probability: undefined, log_odds: undefined }[link.unit],
    );
    const explainer = new TreeExplainer(
      session,
      trees.matrix,
      ensemble,
      shap,
      link,
      allowed,
      file,
      predictor,
      inputs,
    );
    for (let row = 0; row < Math.min(CHECKED_ROWS, background.rows); row++) {
      const { holds } = await explainer.explain(pick(background, [row]));
      if (holds) continue;
      await session.release();
      return undefined;
    }
    return explainer;
  }

  async explain(row: ColumnBatch): Promise<Explained> {
    const features = await matrixOf(this.session, this.matrix, row);
    const perColumn = this.shap.contributions(features);
    const scores = this.ensemble.scoresOf(features, this.file.sources.length);
    const width = this.shap.base.length;
    const attributions = this.predictor.outputs.map((output, k): Attribution => {
      const { score, sign, shift } = this.link.outputs[k] ?? { score: 0, sign: 1, shift: 0 };
      const raw = new Float64Array(this.inputs.length);
      this.file.sources.forEach((sources, column) => {
        const value = sign * (perColumn[column * width + score] ?? 0);
        for (const source of sources) raw[source] = (raw[source] ?? 0) + value / sources.length;
      });
      return {
        output,
        answer: shift + sign * (scores[score] ?? Number.NaN),
        base: shift + sign * (this.shap.base[score] ?? 0),
        contributions: this.inputs.map((column, i) => ({ column, value: raw[i] ?? 0, error: 0 })),
      };
    });
    const sums = attributions.map(sumOf);
    const [expected, said] = [answersFrom(this.link.unit, sums), await this.predictor.answers(row)];
    // Where it is not known what follows the scores, the parts are held against the scores themselves.
    const gap = expected
      ? largestGap(expected, said)
      : largestGap(
          sums,
          attributions.map(({ answer }) => answer),
        );
    // Numbers far beyond the background's lose digits of their own.
    const own =
      this.unit === 'target' || this.unit === 'score' ? ROUNDING * Math.max(...sums.map(Math.abs)) : 0;
    return { attributions, gap, holds: gap <= this.allowed + own };
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
