import type { RouteRole, RouteTable, ServedModel } from '../contracts/serving.ts';
import type { OnlineReader } from '../lib/feature-store/online-store.ts';
import type { OutputColumns } from '../lib/onnx/tabular-session.ts';
import { CallRows, type WholeRows } from './call-rows.ts';
import { championFailing } from './evidence/champion-failing.ts';
import { type FeatureLog, FeatureService } from './features/feature-service.ts';
import { type Failing, failingOf, invalidOutput } from './isolation/failing.ts';
import { invalidRows } from './isolation/invalid-rows.ts';
import { ShadowCopies } from './isolation/shadow-copies.ts';
import { StandIn } from './isolation/stand-in.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ModelHost, Routed } from './model-host.ts';
import type { Incident, Miss, Prediction, PredictionCall, PredictionListener } from './prediction.ts';
import { RequestError } from './request-error.ts';
import { FeatureMetrics } from './telemetry/feature-metrics.ts';

/** One loaded version as {@link DataPlane.metadata} describes it. */
export interface VersionMetadata {
  readonly version: string;
  readonly sha256: string;
  /** Percent of the endpoint's traffic; 0 for a candidate. */
  readonly weight: number;
  readonly role: RouteRole | 'candidate';
}

/** What is known of a served model. */
export interface ModelMetadata {
  readonly endpoint: string;
  /** The generation of the routes in force; `undefined` where only candidates are loaded. */
  readonly generation: number | undefined;
  readonly versions: readonly VersionMetadata[];
  /** The version that was asked for, or else the one with the greatest weight. */
  readonly model: ServedModel;
  /** Columns that requests may have for other versions of the endpoint; this one passes over them. */
  readonly otherKeys: readonly string[];
  /** The most rows of one request to it. */
  readonly maxRows: number;
}

/** Of requests to a candidate of an endpoint without a table. */
const CANDIDATE_DEADLINE_MS = 10_000;

/** What a {@link DataPlane} may have beside its models. */
export interface DataPlaneOptions {
  /** The online store; without it the policy of each feature view applies. It is closed by whoever opened it. */
  readonly features?: OnlineReader | undefined;
  /** Told once when features cannot be looked up, and once when they can again. */
  readonly logger?: FeatureLog | undefined;
}

/**
 * What the server can do, without a word of HTTP: any transport parses its requests, calls this, and writes the answer.
 */
export class DataPlane {
  readonly #listeners: PredictionListener[] = [];
  readonly #standIn: StandIn;
  readonly #features: FeatureService;
  /** What is counted of looked-up features. */
  readonly featureMetrics: FeatureMetrics;
  #draining = false;

  constructor(
    private readonly host: ModelHost,
    { features: reader, logger: log }: DataPlaneOptions = {},
  ) {
    this.featureMetrics = new FeatureMetrics(() => this.#viewsInForce());
    this.#features = new FeatureService({ reader, log, metrics: this.featureMetrics });
    const failed = (incident: Incident, miss?: Miss): void => {
      this.#failed(incident);
      if (miss) this.#missed(miss);
    };
    const shadowed = (prediction: Prediction, seconds: number): void => {
      for (const listener of this.#listeners) listener.shadowed?.(prediction, seconds);
    };
    this.#standIn = new StandIn(host, failed);
    this.listen(new ShadowCopies(host, { failed, shadowed }));
    if (host.incidents) this.listen(host.incidents);
  }

  /** Tells a listener of every prediction from now on. */
  listen(listener: PredictionListener): void {
    this.#listeners.push(listener);
  }

  /** Who is to be told, in the order in which they began to listen. */
  get listeners(): readonly PredictionListener[] {
    return this.#listeners;
  }

  /**
   * Answers one request. A challenger that cannot is stood in for by the champion, but for who asks for its version.
   * Listeners are told by whoever sends the answer.
   *
   * @throws RequestError 400, 404, 413, 503
   */
  async predict(call: PredictionCall): Promise<Prediction> {
    // Nothing may be awaited before the run starts: from then on the model waits for it before it is freed.
    const rows = this.rowsOf(call);
    const routed = this.host.route(call, rows);
    const { model, role, reason, table, entity } = routed;
    const deadline = this.deadline(call);
    if (table && role === 'challenger' && reason !== 'version')
      return this.#standIn.predict(call, rows, { ...routed, table }, deadline);
    const { rows: asked } = rows.read(model);
    // A challenger or a shadow that is asked by its version: nobody stands in for it, but what it does is told.
    const beside = role === 'challenger' || role === 'shadow' ? table : undefined;
    let outputs: OutputColumns;
    let whole: WholeRows;
    try {
      const found = rows.whole(model, deadline);
      outputs = await model.runWhole(found, deadline);
      whole = found instanceof Promise ? await found : found;
    } catch (error) {
      if (beside) this.#failedAlone(routed, beside, failingOf(error, call, beside));
      else if (table && role === 'champion') {
        const { endpoint, generation } = table;
        const kind = championFailing(error, call, table);
        const told = { endpoint, generation, version: model.served.version, role, reason, rows: asked };
        const seconds = kind === 'features' ? undefined : (performance.now() - call.arrived) / 1000;
        if (kind) this.#missed({ ...told, kind, seconds });
      }
      throw error;
    }
    const invalid = invalidRows(outputs);
    if (beside && invalid > 0) this.#failedAlone(routed, beside, invalidOutput(invalid, outputs.rows));
    return {
      call,
      model,
      role,
      reason,
      generation: table?.generation,
      entity: rows.entity(entity, model, table?.entityColumn),
      ...whole,
      rows,
      outputs,
      ...(invalid > 0 && { invalidRows: invalid }),
    };
  }

  /** The rows of a request, for {@link CallRows.whole}. */
  rowsOf(call: Pick<PredictionCall, 'endpoint' | 'arrived' | 'recordedAt' | 'read'>): CallRows {
    return new CallRows(call, this.#features.of(call));
  }

  /** When the model must have answered (`performance.now`): as its endpoint says, or earlier where the client does. */
  deadline({
    endpoint,
    arrived,
    timeoutMs,
  }: Pick<PredictionCall, 'endpoint' | 'arrived' | 'timeoutMs'>): number {
    const { deadlineMs = CANDIDATE_DEADLINE_MS } = this.host.state(endpoint)?.table ?? {};
    return arrived + Math.min(timeoutMs ?? Infinity, deadlineMs);
  }

  /**
   * A loaded version; where none is named, the champion.
   *
   * @throws RequestError 404, 503
   */
  model(endpoint: string, version?: string): LoadedModel {
    const champion = this.host.state(endpoint)?.champion?.served.version;
    return this.host.version(endpoint, version ?? champion ?? this.host.candidates(endpoint)[0]);
  }

  /** @throws RequestError 404, 503 */
  metadata(endpoint: string, version?: string): ModelMetadata {
    const state = this.host.state(endpoint);
    const routes = state?.models ? state.table.routes : [];
    const candidates = this.host.candidates(endpoint);
    const { served, schema, otherKeys } = this.model(endpoint, version);
    return {
      endpoint,
      generation: state?.table.generation,
      versions: [
        ...routes.map(({ model, weight, role }) => ({
          version: model.version,
          sha256: model.onnx.sha256,
          weight,
          role,
        })),
        ...candidates.map((candidate) => ({
          version: candidate,
          sha256: this.host.version(endpoint, candidate).served.onnx.sha256,
          weight: 0,
          role: 'candidate' as const,
        })),
      ],
      model: served,
      otherKeys,
      maxRows: schema.limits.maxRows,
    };
  }

  /**
   * Endpoints that have routes.
   *
   * @param only those that the caller may know of; default all
   */
  endpoints(only?: ReadonlySet<string>): string[] {
    const endpoints = this.host.endpoints();
    return only ? endpoints.filter((endpoint) => only.has(endpoint)) : endpoints;
  }

  /**
   * The endpoint of a request that names none.
   *
   * @param only those that the caller may ask; default all
   * @throws RequestError 400 where there are several, 503 where there is none
   */
  soleEndpoint(only?: ReadonlySet<string>): string {
    const endpoints = this.endpoints(only);
    const [sole] = endpoints;
    if (sole === undefined) throw new RequestError(503, 'no model is served yet; try again later');
    if (endpoints.length > 1)
      throw new RequestError(
        400,
        'several models are served; POST to /endpoints/<model>/invocations, GET /v2/models lists them',
      );
    return sole;
  }

  /** Generation of the routes in force, by endpoint; withdrawn endpoints included. */
  generations(): ReadonlyMap<string, number> {
    return new Map(this.host.tables().map((table) => [table.endpoint, table.generation]));
  }

  /** From now on it is not ready, but still answers. */
  drain(): void {
    this.#draining = true;
  }

  /** Whether a version of an endpoint answers requests that name none. */
  takesTraffic(endpoint: string, version: string): boolean {
    const role = this.host.state(endpoint)?.role(version);
    return role === 'champion' || role === 'challenger';
  }

  /** Whether something is served, and everything that should be can be. */
  ready(): boolean {
    const endpoints = this.endpoints();
    return (
      !this.#draining &&
      endpoints.length > 0 &&
      endpoints.every((endpoint) => this.host.state(endpoint)?.ready === true)
    );
  }

  /** Whether a request to the endpoint, or to one version of it, gets an answer. */
  modelReady(endpoint: string, version?: string): boolean {
    const state = this.host.state(endpoint);
    if (this.#draining) return false;
    if (version === undefined) return state?.ready === true;
    if (state?.version(version)) return state.version(version)?.available === true;
    return this.host.candidates(endpoint).includes(version) && this.host.version(endpoint, version).available;
  }

  #viewsInForce(): { endpoint: string; view: string }[] {
    return this.host
      .tables()
      .flatMap(({ endpoint, routes }) =>
        routes.flatMap(({ model }) => (model.views ?? []).map(({ name }) => ({ endpoint, view: name }))),
      );
  }

  #failedAlone({ model, role }: Routed, { endpoint, generation }: RouteTable, failing: Failing): void {
    const { kind, reason } = failing;
    if (!kind || (role !== 'challenger' && role !== 'shadow')) return;
    this.#failed({ endpoint, generation, version: model.served.version, role, kind, count: 1, reason });
  }

  #missed(miss: Miss): void {
    for (const listener of this.#listeners) listener.missed?.(miss);
  }

  #failed(incident: Incident): void {
    for (const listener of this.#listeners) listener.failed?.(incident);
  }
}
