import { PerennialError } from '../../contracts/errors.ts';
import type {
  Attribution,
  AttributionMethod,
  AttributionUnit,
  ExplainerFile,
} from '../../contracts/explanation.ts';
import { isTextInput, type ModelSignature } from '../../contracts/serving.ts';
import type { ColumnBatch } from '../onnx/tabular-session.ts';
import { batchOf, columnOf, pick, type RawRow } from './columns.ts';
import { type Explained, largestGap, sumOf } from './explained.ts';
import { Predictor } from './predictor.ts';
import { type Coalitions, sampledShapley } from './sampled-shapley.ts';
import { TreeExplainer } from './tree-explainer.ts';

/** Options of sampled attributions; exact ones need none of them. */
export interface ExplainerOptions {
  /** Antithetic pairs of orders per row, default 64. More pairs, smaller errors. */
  pairs?: number;
  /** Of the error bounds, default 0.95. */
  confidence?: number;
  /** Default 0. */
  seed?: number;
  /** Threads of the ONNX engine, default 1. */
  threads?: number;
}

const DEFAULTS = { pairs: 64, confidence: 0.95, seed: 0, threads: 1 };
/** More background rows than pairs would not be used evenly. */
const MOST_BACKGROUND = 64;

/** What is known about the model beside its graph. */
export interface Background {
  /** Raw rows that stand for what is usual: for example those of `EvaluateOutput.samples`. At least one. */
  rows: readonly RawRow[];
  /** `explainer.json` of the model; without it attributions are sampled. */
  file?: ExplainerFile;
}

/**
 * Explains single predictions of one composed model. Exact for tree ensembles (TreeSHAP) as long as their parts add up to
 * the model's own answers on background rows, sampled for all others.
 * Computing holds the calling thread: a server gives it a process, or asks for few rows.
 */
export class Explainer {
  private constructor(
    readonly signature: ModelSignature,
    readonly method: AttributionMethod,
    /** What answers, bases and contributions are counted in. */
    readonly unit: AttributionUnit,
    /** Confidence of the errors. */
    readonly confidence: number,
    /** Operations that one row takes, about; a million are a few milliseconds. */
    readonly cost: number,
    private readonly attribute: (row: ColumnBatch) => Promise<Explained>,
    private readonly release: () => Promise<void>,
  ) {}

  /**
   * For each numeric output of the model, what each raw column contributed to the answer.
   *
   * @param row raw values by column; one that is absent is missing
   * @throws PerennialError `ModelInvalid` where the model fails on the row
   * @example
   * const [{ answer, base, contributions }] = await explainer.explain({ age: 41, job: 'admin.' });
   * // base + the sum of contributions[].value === answer
   */
  async explain(row: RawRow): Promise<Attribution[]> {
    const { attributions } = await this.attribute(batchOf([row], this.signature));
    return attributions;
  }

  /** {@link explain} for one row of a batch, held against the model's own answer. */
  async explainRow(batch: ColumnBatch, row: number): Promise<Explained> {
    return this.attribute(pick(batch, [row]));
  }

  close(): Promise<void> {
    return this.release();
  }

  /** See {@link createExplainer}. */
  static async create(
    model: Uint8Array,
    signature: ModelSignature,
    { rows, file }: Background,
    options: ExplainerOptions = {},
  ): Promise<Explainer> {
    if (rows.length === 0)
      throw new PerennialError('InputInvalid', 'an explainer needs at least one background row');
    const settings = { ...DEFAULTS, ...options };
    const predictor = await Predictor.create(model, signature, settings.threads);
    const background = batchOf(spread(rows, MOST_BACKGROUND), signature);
    const trees =
      file?.method === 'tree' ? await TreeExplainer.create(model, file, predictor, background) : undefined;
    if (trees)
      return new Explainer(
        signature,
        'tree',
        trees.unit,
        settings.confidence,
        trees.cost,
        (row) => trees.explain(row),
        async () => {
          await trees.close();
          await predictor.close();
        },
      );
    const pairs = Math.max(16, Math.ceil(settings.pairs / background.rows) * background.rows);
    const unit = signature.outputs.some(({ name }) => name === 'label') ? 'probability' : 'target';
    const columns = signature.inputs.length;
    return new Explainer(
      signature,
      'sampled',
      unit,
      settings.confidence,
      pairs * (2 * columns - 1) * columns,
      async (row) => {
        const attributions = await sampled(predictor, signature, background, row, { ...settings, pairs });
        const gap = largestGap(attributions.map(sumOf), await predictor.answers(row));
        // They add up by construction; there is nothing else to fall back to.
        return { attributions, gap, holds: true };
      },
      () => predictor.close(),
    );
  }
}

/**
 * Makes an explainer of single predictions from a composed model and what it is usual to see.
 *
 * @param model bytes of `model.onnx`, @param background see {@link Background}
 * @throws PerennialError `ModelInvalid` where the model does not fit the signature, `InputInvalid` without background rows
 * @example
 * const explainer = await createExplainer(bytes, signature, { rows: samples.rows, file: explainerFile });
 * const [attribution] = await explainer.explain(row);
 * await explainer.close();
 */
export const createExplainer = (
  model: Uint8Array,
  signature: ModelSignature,
  background: Background,
  options?: ExplainerOptions,
): Promise<Explainer> => Explainer.create(model, signature, background, options);

async function sampled(
  predictor: Predictor,
  signature: ModelSignature,
  background: ColumnBatch,
  row: ColumnBatch,
  { pairs, confidence, seed }: { pairs: number; confidence: number; seed: number },
): Promise<Attribution[]> {
  const { inputs } = signature;
  const outputs = predictor.outputs.length;
  const mixed = ({ count, own, background: rows }: Coalitions): ColumnBatch => {
    const columns = inputs.map(({ name, kind }, column) => {
      const mine = row.columns.get(name)?.[0] ?? (isTextInput(kind) ? '' : Number.NaN);
      const others = background.columns.get(name) ?? [];
      const value = (at: number): number | string =>
        own[at * inputs.length + column] === 1 ? mine : (others[rows[at] ?? 0] ?? mine);
      return [name, columnOf(kind, count, value)] as const;
    });
    return { rows: count, columns: new Map(columns) };
  };
  const { answer, base, contributions, errors } = await sampledShapley({
    columns: inputs.length,
    outputs,
    backgroundRows: background.rows,
    pairs,
    confidence,
    seed,
    answers: (coalitions) => predictor.answers(mixed(coalitions)),
  });
  return predictor.outputs.map((output, k) => ({
    output,
    answer: answer[k] ?? Number.NaN,
    base: base[k] ?? Number.NaN,
    contributions: inputs.map(({ name }, column) => ({
      column: name,
      value: contributions[column * outputs + k] ?? Number.NaN,
      error: errors[column * outputs + k] ?? 0,
    })),
  }));
}

/** At most `limit` of the rows, evenly chosen. */
function spread<T>(rows: readonly T[], limit: number): T[] {
  const step = Math.max(1, rows.length / limit);
  return rows.filter((_, index) => Math.floor(index / step) > Math.floor((index - 1) / step)).slice(0, limit);
}
