import { type RouteReason, type RouteRole, routeReason, routeRole } from '../../contracts/serving.ts';
import type { ColumnBatch, OutputColumns } from '../onnx/tabular-session.ts';

/** Who answered, as the log has it. */
export type RecordedRole = RouteRole | 'candidate';

/** A role or a reason is written as its place in these lists: add at the end, never change the order. */
export const ROLES: readonly RecordedRole[] = [...routeRole.options, 'candidate'];
export const REASONS: readonly RouteReason[] = routeReason.options;

/** How an output's values are stored. */
export type OutputType = 'float' | 'double' | 'string';

/** What the rows of one version look like; written once for each block that uses it. */
export interface FrameLayout {
  readonly endpoint: string;
  readonly version: string;
  /** SHA-256 of the model. */
  readonly digest: string;
  /** Inputs that are float32: numeric and boolean. Empty, like the next two, where features are not recorded. */
  readonly numbers: readonly string[];
  /** Inputs that are float64: epoch seconds. */
  readonly moments: readonly string[];
  /** Inputs that are strings. */
  readonly texts: readonly string[];
  /**
   * Columns by which features were looked up: strings, the keys as the request had them. Absent, like the next one, for
   * a version without feature views.
   */
  readonly entities?: readonly string[] | undefined;
  /** Feature views: of each row where its values came from, and up to which moment the store knew events. */
  readonly views?: readonly string[] | undefined;
  readonly outputs: readonly { readonly name: string; readonly type: OutputType }[];
}

/** What became of one feature view in a request. */
export interface RecordedView {
  readonly view: string;
  /** Row by row, a place in `FEATURE_SOURCES`. */
  readonly sources: Uint8Array;
  /** Milliseconds of Unix time; `undefined` where the store was not asked. */
  readonly until: number | undefined;
}

/** One answered request, as it is recorded. */
export interface PredictionRecord {
  readonly layout: FrameLayout;
  /** When the request arrived, epoch milliseconds; of a copy for a shadow: the request that was answered. */
  readonly at: number;
  readonly requestId: string;
  /** The pseudonym, never the key itself. */
  readonly entity: string | undefined;
  readonly role: RecordedRole;
  readonly reason: RouteReason;
  readonly insteadOf: string | undefined;
  readonly generation: number | undefined;
  /** Milliseconds from the arrival to the written answer. */
  readonly latencyMs: number;
  readonly batch: ColumnBatch;
  /** By column: the keys of the rows. Absent: they are not recorded. */
  readonly keys?: ReadonlyMap<string, readonly (string | undefined)[]> | undefined;
  readonly views?: readonly RecordedView[] | undefined;
  readonly outputs: OutputColumns;
}

/** What turned out to be true, as it is recorded; see `contracts/feedback.ts`. */
export interface TruthRecord {
  readonly endpoint: string;
  readonly requestId: string | null;
  /** Of the request; `null`: all of them. */
  readonly row: number | null;
  /** The pseudonym. */
  readonly entity: string | null;
  /** When it was so, epoch milliseconds. */
  readonly observedAt: number | null;
  /** When the server heard of it, epoch milliseconds. */
  readonly receivedAt: number;
  readonly value: number | null;
  readonly label: string | null;
  readonly metrics: Readonly<Record<string, number>>;
}
