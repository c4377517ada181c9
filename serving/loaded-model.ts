import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { PerennialError } from '../contracts/errors.ts';
import { isTextInput, type ServedModel } from '../contracts/serving.ts';
import {
  type ColumnBatch,
  type InputColumn,
  type OutputColumns,
  TabularSession,
} from '../lib/onnx/tabular-session.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { Coalescer } from './coalescer.ts';
import { type InputLimits, InputSchema } from './input/input-schema.ts';
import type { ModelRunner } from './model-runner.ts';
import { AnswerWriter } from './output/answer-writer.ts';

/** Where models' bytes come from: an artifact store, or the folder of an exported model. */
export type ModelStore = Pick<ArtifactStore, 'bytes'>;

/** How models are loaded. */
export interface LoadOptions {
  /** Threads of one run, default 1. */
  readonly threads?: number | undefined;
  readonly limits?: InputLimits | undefined;
}

/** One version in memory, with all that its requests need. */
export class LoadedModel {
  private constructor(
    readonly served: ServedModel,
    readonly schema: InputSchema,
    readonly writer: AnswerWriter,
    private readonly runner: ModelRunner,
  ) {}

  /**
   * Loads a version. The digest is taken of the very bytes that become the model, not of the file before: whatever
   * happens to the store in between, no other model is ever served.
   *
   * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`, `ModelInvalid`
   */
  static async load(served: ServedModel, store: ModelStore, options: LoadOptions = {}): Promise<LoadedModel> {
    const { onnx, signature, version } = served;
    const bytes = await store.bytes(onnx);
    if (createHash('sha256').update(bytes).digest('hex') !== onnx.sha256)
      throw new PerennialError(
        'ArtifactCorrupt',
        `version ${version}: the bytes of ${onnx.uri} do not have the route's digest; restore the artifact`,
      );
    const session = await TabularSession.create(bytes, signature, { threads: options.threads ?? 1 });
    const model = new LoadedModel(
      served,
      new InputSchema(signature.inputs, options.limits),
      new AnswerWriter(signature.outputs),
      new Coalescer(session),
    );
    try {
      await model.#warmUp();
    } catch (error) {
      await model.close();
      throw error;
    }
    return model;
  }

  /** Whether this is that version with that digest and signature. */
  is(served: ServedModel): boolean {
    return isDeepStrictEqual(this.served, served);
  }

  /** See {@link ModelRunner.run}. */
  run(batch: ColumnBatch, deadline?: number): Promise<OutputColumns> {
    return this.runner.run(batch, deadline);
  }

  /** Frees the memory when the runs under way have ended. */
  close(): Promise<void> {
    return this.runner.close();
  }

  /**
   * Runs made-up rows: the first run allocates, and a graph that works for one batch size only, or fails on
   * execution, is found before a request is.
   */
  async #warmUp(): Promise<void> {
    for (const rows of [2, 1]) {
      const columns = new Map<string, InputColumn>();
      for (const { name, kind } of this.served.signature.inputs) {
        if (isTextInput(kind)) columns.set(name, new Array<string>(rows).fill(''));
        else columns.set(name, kind === 'datetime' ? new Float64Array(rows) : new Float32Array(rows));
      }
      await this.run({ rows, columns });
    }
  }
}
