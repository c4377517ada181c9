import { FEATURE_SOURCES } from '../../contracts/feature-store.ts';
import type { RouteReason } from '../../contracts/serving.ts';
import type { ColumnBatch } from '../onnx/tabular-session.ts';
import { type FrameBuffer, roomOf } from './frame-buffer.ts';
import {
  type FrameLayout,
  type PredictionRecord,
  REASONS,
  type RecordedRole,
  ROLES,
  type TruthRecord,
} from './records.ts';

/**
 * What a frame holds. Every frame: length 4 (of all of it, a multiple of 8), type 1, then, little-endian:
 *
 * ```
 * layout:      3 zeros | number 4 | 4 zeros | FrameLayout as JSON, measured
 * truth:       3 zeros | TruthRecord as JSON, measured
 * prediction:  role 1 | reason 1 | 0 | at, double | layout 4 | rows 4 | generation, double (NaN: none) |
 *              latency, float | bytes of request id 2, entity 2, insteadOf 2 | 6 zeros |
 *              moments, views' moments and double outputs, doubles [column][row] |
 *              numbers, views' sources and float outputs, floats [column][row] |
 *              request id, entity, insteadOf | texts, keys and string outputs [column][row], measured
 * ```
 *
 * A text is UTF-8; a measured one has its length, 4 bytes, before it. Bytes beyond that up to the length are zeros.
 */
export const FRAME = { layout: 1, prediction: 2, truth: 3 } as const;

/** Where the doubles of a prediction begin in its frame. */
export const PREDICTION_HEAD = 48;

const ROLE_CODES = new Map<RecordedRole, number>(ROLES.map((role, code) => [role, code]));
const LOOKED_UP = FEATURE_SOURCES.indexOf('looked_up');
const REASON_CODES = new Map<RouteReason, number>(REASONS.map((reason, code) => [reason, code]));

/** All numeric and boolean columns, one after the other, where whoever read the request laid them out so. */
function packedNumbers(batch: ColumnBatch): Float32Array | undefined {
  return 'numbers' in batch && batch.numbers instanceof Float32Array ? batch.numbers : undefined;
}

/** The most bytes that {@link writePrediction} takes. */
export function predictionRoom({ layout, batch, outputs, ...record }: PredictionRecord): number {
  const { rows } = outputs;
  const { views = [], entities = [] } = layout;
  let room =
    PREDICTION_HEAD +
    8 * rows * (layout.moments.length + views.length + layout.outputs.length) +
    4 * rows * (layout.numbers.length + views.length) +
    roomOf(record.requestId) +
    roomOf(record.entity ?? '') +
    roomOf(record.insteadOf ?? '');
  for (const name of layout.texts) {
    const column = batch.columns.get(name);
    if (Array.isArray(column)) for (const text of column) room += roomOf(text);
  }
  for (const name of entities) {
    const keys = record.keys?.get(name);
    for (let row = 0; row < rows; row++) room += roomOf(keys?.[row] ?? '');
  }
  for (const column of outputs.columns)
    if (column.kind === 'string') for (const text of column.data) room += roomOf(text);
  return room;
}

/** @param number of the layout in this block */
export function writeLayout(buffer: FrameBuffer, layout: FrameLayout, number: number): void {
  buffer.begin(FRAME.layout);
  zeros(buffer, 3);
  buffer.uint32(number);
  zeros(buffer, 4);
  buffer.measuredText(JSON.stringify(layout));
  buffer.finish();
}

export const layoutRoom = (layout: FrameLayout): number => 16 + roomOf(JSON.stringify(layout));

/**
 * Copies one prediction.
 *
 * @param number of its layout in this block
 */
export function writePrediction(buffer: FrameBuffer, record: PredictionRecord, number: number): void {
  const { layout, batch, outputs } = record;
  const { rows } = outputs;
  const { requestId, entity = '', insteadOf = '' } = record;
  const { views = [], entities = [] } = layout;
  const recorded = views.map((name) => record.views?.find(({ view }) => view === name));
  buffer.begin(FRAME.prediction);
  buffer.byte(ROLE_CODES.get(record.role) ?? 0);
  buffer.byte(REASON_CODES.get(record.reason) ?? 0);
  buffer.byte(0);
  buffer.double(record.at);
  buffer.uint32(number);
  buffer.uint32(rows);
  buffer.double(record.generation ?? Number.NaN);
  buffer.float(record.latencyMs);
  const lengths = buffer.at;
  buffer.at += 6;
  zeros(buffer, 6);
  for (const name of layout.moments) {
    const column = batch.columns.get(name);
    if (column instanceof Float64Array) copied(buffer, column, 8, buffer.doubles);
  }
  for (const view of recorded) {
    const until = view?.until ?? Number.NaN;
    for (let row = 0; row < rows; row++) buffer.double(view?.sources[row] === LOOKED_UP ? until : Number.NaN);
  }
  for (const column of outputs.columns)
    if (column.data instanceof Float64Array) copied(buffer, column.data, 8, buffer.doubles);
  const packed = packedNumbers(batch);
  if (packed && packed.length === rows * layout.numbers.length) copied(buffer, packed, 4, buffer.floats);
  else
    for (const name of layout.numbers) {
      const column = batch.columns.get(name);
      if (column instanceof Float32Array) copied(buffer, column, 4, buffer.floats);
    }
  for (const view of recorded)
    for (let row = 0; row < rows; row++) buffer.float(view?.sources[row] ?? Number.NaN);
  for (const column of outputs.columns)
    if (column.data instanceof Float32Array) copied(buffer, column.data, 4, buffer.floats);
  const idBytes = buffer.text(requestId);
  const entityBytes = buffer.text(entity);
  const insteadBytes = buffer.text(insteadOf);
  for (const name of layout.texts) {
    const column = batch.columns.get(name);
    if (Array.isArray(column)) for (const text of column) buffer.measuredText(text);
  }
  for (const name of entities) {
    const keys = record.keys?.get(name);
    for (let row = 0; row < rows; row++) buffer.measuredText(keys?.[row] ?? '');
  }
  for (const column of outputs.columns)
    if (column.kind === 'string') for (const text of column.data) buffer.measuredText(text);
  const end = buffer.at;
  buffer.at = lengths;
  buffer.uint16(idBytes);
  buffer.uint16(entityBytes);
  buffer.uint16(insteadBytes);
  buffer.at = end;
  buffer.finish();
}

export function writeTruth(buffer: FrameBuffer, truth: TruthRecord): void {
  buffer.begin(FRAME.truth);
  zeros(buffer, 3);
  buffer.measuredText(JSON.stringify(truth));
  buffer.finish();
}

export const truthRoom = (truth: TruthRecord): number => 8 + roomOf(JSON.stringify(truth));

function zeros(buffer: FrameBuffer, count: number): void {
  for (let i = 0; i < count; i++) buffer.byte(0);
}

/** A lone value is cheaper to set than to copy. */
function copied(
  buffer: FrameBuffer,
  column: Float32Array | Float64Array,
  width: 4 | 8,
  target: Float32Array | Float64Array,
): void {
  const place = buffer.at / width;
  if (column.length === 1) target[place] = column[0] ?? Number.NaN;
  else target.set(column, place);
  buffer.at += column.length * width;
}
