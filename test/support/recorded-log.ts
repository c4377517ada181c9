import { logKey } from '../../lib/predictions/log-key.ts';
import type { FrameLayout, PredictionRecord } from '../../lib/predictions/records.ts';
import { rollSegments } from '../../lib/predictions/roll.ts';
import { Segment, serverFolder, writerName } from '../../lib/predictions/segments.ts';
import { type PredictionConfig, segmentsFolder } from '../../lib/predictions/settings.ts';
import { Spool } from '../../lib/predictions/spool.ts';
import { truthOf } from '../../lib/predictions/truth.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';

type Values = readonly (number | string | null)[];

/** A request with all its rows, as a server would have answered it. */
export interface RecordedRequest {
  at: number;
  requestId: string;
  inputs: Readonly<Record<string, Values>>;
  outputs: Readonly<Record<string, Values>>;
  /** What turned out to be true of each row, and when it was heard; `null`: not known. */
  truth?: { labels: readonly (string | null)[]; at: number };
  latencyMs?: number;
  role?: PredictionRecord['role'];
}

/** A version as it stands in a log. */
export interface RecordedVersion extends Pick<FrameLayout, 'endpoint' | 'version' | 'digest'> {
  /** Names of the inputs that are text, and of those that are moments (epoch seconds). */
  texts: readonly string[];
  moments?: readonly string[];
}

const BATCH = 2 ** 20;

/** Writes a prediction log as servers do, and has it archived. */
export class RecordedLog {
  readonly #spool = new Spool();

  private constructor(
    private readonly config: PredictionConfig,
    private readonly segment: Segment,
  ) {}

  static async begin(config: PredictionConfig, store: ArtifactStore): Promise<RecordedLog> {
    const folder = serverFolder(segmentsFolder(config), 'recorded');
    const key = await logKey(config, store.keyring);
    return new RecordedLog(config, await Segment.begin(folder, writerName(), 0, key, true));
  }

  /** The layout of a version’s rows: one for all of its requests. */
  static layout(version: RecordedVersion, { inputs, outputs }: RecordedRequest): FrameLayout {
    const { texts, moments = [], endpoint, version: name, digest } = version;
    return {
      endpoint,
      version: name,
      digest,
      numbers: Object.keys(inputs).filter((one) => !texts.includes(one) && !moments.includes(one)),
      moments,
      texts,
      outputs: Object.entries(outputs).map(([output, values]) => ({
        name: output,
        type: typeof values[0] === 'string' ? 'string' : 'float',
      })),
    };
  }

  async add(layout: FrameLayout, request: RecordedRequest): Promise<void> {
    const { at, requestId, inputs, outputs, truth, latencyMs = 1, role = 'champion' } = request;
    const rows = Object.values(outputs)[0]?.length ?? 0;
    const number = (value: string | number | null): number => (value === null ? Number.NaN : Number(value));
    const refused = this.#spool.addPrediction({
      layout,
      at,
      requestId,
      entity: undefined,
      role,
      reason: 'sole',
      insteadOf: undefined,
      generation: 1,
      latencyMs,
      batch: {
        rows,
        columns: new Map(
          Object.entries(inputs).map(([name, values]) => [
            name,
            layout.texts.includes(name)
              ? values.map((value) => (value === null ? '' : String(value)))
              : layout.moments.includes(name)
                ? Float64Array.from(values, number)
                : Float32Array.from(values, number),
          ]),
        ),
      },
      outputs: {
        rows,
        columns: layout.outputs.map(({ name, type }) => {
          const values = outputs[name] ?? [];
          return type === 'string'
            ? { name, kind: 'string', data: values.map(String) }
            : { name, kind: 'float', data: Float32Array.from(values, number) };
        }),
      },
    });
    if (refused !== undefined) throw new Error(`not recorded: ${refused}`);
    for (const [row, label] of (truth?.labels ?? []).entries())
      if (label !== null && truth)
        this.#spool.addTruth(truthOf(layout.endpoint, { requestId, row, label }, undefined, truth.at));
    if (this.#spool.bytes >= BATCH) await this.#write();
  }

  /** Archives all of it. */
  async close(): Promise<void> {
    await this.#write();
    await this.segment.close();
    await rollSegments(this.config);
  }

  async #write(): Promise<void> {
    for (let block = this.#spool.take(); block; block = this.#spool.take()) {
      await this.segment.append(block.buffer.written());
      this.#spool.release(block);
    }
  }
}
