import { z } from 'zod';
import { FRAME, PREDICTION_HEAD } from './frames.ts';
import type { FrameLayout, TruthRecord } from './records.ts';

const name = z.string();
const layoutSchema: z.ZodType<FrameLayout> = z.object({
  endpoint: name,
  version: name,
  digest: name,
  numbers: z.array(name),
  moments: z.array(name),
  texts: z.array(name),
  entities: z.array(name).optional(),
  views: z.array(name).optional(),
  outputs: z.array(z.object({ name, type: z.enum(['float', 'double', 'string']) })),
});

const truthSchema: z.ZodType<TruthRecord> = z.object({
  endpoint: name,
  requestId: z.string().nullable(),
  row: z.number().nullable(),
  entity: z.string().nullable(),
  observedAt: z.number().nullable(),
  receivedAt: z.number(),
  value: z.number().nullable(),
  label: z.string().nullable(),
  metrics: z.record(z.string(), z.number()),
});

/** A prediction as it lies in a block. The views are valid for as long as the block is. */
export interface PredictionFrame {
  readonly layout: FrameLayout;
  readonly at: number;
  readonly rows: number;
  readonly requestId: string;
  readonly entity: string | null;
  readonly insteadOf: string | null;
  readonly role: number;
  readonly reason: number;
  readonly generation: number | null;
  readonly latencyMs: number;
  /** Moments, then those of views, then outputs of type `double`: [column][row]. */
  readonly doubles: Float64Array;
  /** Numbers, then sources of views, then outputs of type `float`: [column][row]. */
  readonly floats: Float32Array;
  /** Texts, then keys, then outputs of type `string`: [column][row]. */
  readonly texts: readonly string[];
}

/** Who is told of a block's frames, in their order. */
export interface FrameVisitor {
  prediction(frame: PredictionFrame): void;
  truth(record: TruthRecord): void;
}

/** Layouts that were parsed: the same text comes in every block. */
export type KnownLayouts = Map<string, FrameLayout>;

/** Reads the frames of one whole block. */
export function visitFrames(
  block: Uint8Array<ArrayBuffer>,
  known: KnownLayouts,
  visitor: FrameVisitor,
): void {
  const view = new DataView(block.buffer);
  const bytes = Buffer.from(block.buffer);
  const layouts: FrameLayout[] = [];
  const measured = (at: number): string => bytes.toString('utf8', at + 4, at + 4 + view.getUint32(at, true));
  for (let at = 0; at < bytes.length; at += view.getUint32(at, true)) {
    switch (bytes[at + 4]) {
      case FRAME.layout:
        layouts[view.getUint32(at + 8, true)] = layoutOf(measured(at + 16), known);
        break;
      case FRAME.truth:
        visitor.truth(truthSchema.parse(JSON.parse(measured(at + 8))));
        break;
      case FRAME.prediction: {
        const layout = layouts[view.getUint32(at + 16, true)];
        if (layout) visitor.prediction(predictionAt(bytes, view, at, layout));
        break;
      }
      default: // A kind of a later version.
    }
  }
}

function layoutOf(text: string, known: KnownLayouts): FrameLayout {
  const found = known.get(text) ?? layoutSchema.parse(JSON.parse(text));
  known.set(text, found);
  return found;
}

const outputsOf = ({ outputs }: FrameLayout, type: 'float' | 'double' | 'string'): number =>
  outputs.reduce((sum, output) => sum + (output.type === type ? 1 : 0), 0);

function predictionAt(bytes: Buffer, view: DataView, start: number, layout: FrameLayout): PredictionFrame {
  const rows = view.getUint32(start + 20, true);
  const generation = view.getFloat64(start + 24, true);
  const { views = [], entities = [] } = layout;
  let at = start + PREDICTION_HEAD;
  const doubles = new Float64Array(
    view.buffer,
    at,
    rows * (layout.moments.length + views.length + outputsOf(layout, 'double')),
  );
  at += doubles.byteLength;
  const floats = new Float32Array(
    view.buffer,
    at,
    rows * (layout.numbers.length + views.length + outputsOf(layout, 'float')),
  );
  at += floats.byteLength;
  const text = (length: number): string => {
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  const requestId = text(view.getUint16(start + 36, true));
  const entity = text(view.getUint16(start + 38, true));
  const insteadOf = text(view.getUint16(start + 40, true));
  const texts: string[] = [];
  const textColumns = layout.texts.length + entities.length + outputsOf(layout, 'string');
  for (let i = rows * textColumns; i > 0; i--) {
    at += 4;
    texts.push(text(view.getUint32(at - 4, true)));
  }
  return {
    layout,
    at: view.getFloat64(start + 8, true),
    rows,
    requestId,
    entity: entity === '' ? null : entity,
    insteadOf: insteadOf === '' ? null : insteadOf,
    role: bytes[start + 5] ?? 0,
    reason: bytes[start + 6] ?? 0,
    generation: Number.isNaN(generation) ? null : generation,
    latencyMs: view.getFloat32(start + 32, true),
    doubles,
    floats,
    texts,
  };
}
