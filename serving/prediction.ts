import type { ChallengerIncident, IncidentKind, RouteReason, RouteRole } from '../contracts/serving.ts';
import type { OutputColumns } from '../lib/onnx/tabular-session.ts';
import type { CallRows } from './call-rows.ts';
import type { RowFeatures } from './features/request-features.ts';
import type { RequestRows } from './input/key-columns.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { Shedding } from './request-error.ts';
import type { StageClock } from './telemetry/stage-clock.ts';

/** A request for answers, without a word of HTTP. */
export interface PredictionCall {
  readonly endpoint: string;
  /** Asks this version instead of the routes. */
  readonly version?: string | undefined;
  /** The client's, or one of ours. */
  readonly requestId: string;
  /** Whom or what the rows are about, for sticky routes and late truth. Personal: never logged as it is. */
  readonly entity?: string | undefined;
  /** When the request had arrived, in milliseconds of `performance.now()`. */
  readonly arrived: number;
  /** When it is put on record as having arrived, epoch milliseconds, where it is replayed; default: when it did. */
  readonly recordedAt?: number | undefined;
  /** Milliseconds from `arrived` on that the client gives; the endpoint's own deadline where it is shorter. */
  readonly timeoutMs?: number | undefined;
  /** A request header by its name in small letters. */
  header(name: string): string | undefined;
  /**
   * Reads the rows by a version's schema. Called again where another version stands in, or gets a copy.
   *
   * @throws RequestError 400, 413
   */
  read(model: LoadedModel): RequestRows;
}

/** Answered rows: by whom, and why by it. */
export interface Prediction {
  readonly call: PredictionCall;
  readonly model: LoadedModel;
  /** `candidate`: a version without a route, asked by its version. */
  readonly role: RouteRole | 'candidate';
  readonly reason: RouteReason;
  /** Of the table in force when the request was routed; `undefined` for a candidate of an endpoint without routes. */
  readonly generation: number | undefined;
  /** The version that should have answered, where the champion stood in for it. */
  readonly insteadOf?: string | undefined;
  /** Whom or what the rows are about: the call's own, or what a sticky table found in its `entityColumn`. Personal. */
  readonly entity?: string | undefined;
  /** With its features. */
  readonly batch: RequestRows;
  /** Where the looked-up inputs came from; absent for a version without feature views. */
  readonly features?: RowFeatures | undefined;
  /** For versions that get a copy: what was read and looked up already. */
  readonly rows?: CallRows | undefined;
  readonly outputs: OutputColumns;
  /** Rows with an output that is no finite number, or an empty label; they are `null` in JSON. Absent: none. */
  readonly invalidRows?: number | undefined;
}

/** A failure of a challenger or a shadow; `count` is 1. */
export type Incident = Omit<ChallengerIncident, 'serverId'>;

/** A request, or a copy, that was a version's to answer, and to which it gave no answer that can be used. */
export interface Miss {
  readonly endpoint: string;
  readonly generation: number;
  readonly version: string;
  readonly role: RouteRole;
  readonly reason: RouteReason;
  readonly kind: IncidentKind;
  /** Of the request; 0 where the version could not read them. */
  readonly rows: number;
  /** From the request's arrival, or the copy's beginning, to the failure; `undefined` where nothing was begun. */
  readonly seconds: number | undefined;
}

/** What is known of a refused request beside its path and status. */
export interface Refusal {
  readonly clock?: StageClock | undefined;
  /** Why a sound request is not answered. */
  readonly shedding?: Shedding | undefined;
}

/** What is told of each prediction: metrics, log and traces listen. A listener must neither throw nor wait. */
export interface PredictionListener {
  /** @param seconds from the request's arrival to the written answer, @param clock its parts */
  answered?(prediction: Prediction, seconds: number, clock?: StageClock): void;
  /** @param path what the request's path names, @param status of the refusal */
  refused?(path: { endpoint?: string; version?: string }, status: number, refusal?: Refusal): void;
  /** A copy was answered; nobody waits for it. */
  shadowed?(prediction: Prediction, seconds: number): void;
  /** A challenger or a shadow failed. */
  failed?(incident: Incident): void;
  /**
   * A version of any role failed at a request that was its to answer. A champion that answered with invalid rows, and a
   * shadow that did, have answered: see {@link Prediction.invalidRows}.
   */
  missed?(miss: Miss): void;
}
