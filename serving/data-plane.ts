import type { ServedModel } from '../contracts/serving.ts';
import type { ColumnBatch, OutputColumns } from '../lib/onnx/tabular-session.ts';
import type { LoadedModel } from './loaded-model.ts';
import type { ModelHost } from './model-host.ts';
import { RequestError } from './request-error.ts';

/** Answered rows, and by which version. */
export interface Inference {
  readonly endpoint: string;
  readonly version: string;
  readonly model: LoadedModel;
  readonly outputs: OutputColumns;
}

/** One loaded version as {@link DataPlane.metadata} describes it. */
export interface VersionMetadata {
  readonly version: string;
  readonly sha256: string;
  /** Percent of the endpoint's traffic; 0 for a candidate. */
  readonly weight: number;
  readonly role: 'route' | 'candidate';
}

/** What is known of a served model. */
export interface ModelMetadata {
  readonly endpoint: string;
  /** The generation of the routes in force; `undefined` where only candidates are loaded. */
  readonly generation: number | undefined;
  readonly versions: readonly VersionMetadata[];
  /** The version that was asked for, or else the one with the greatest weight. */
  readonly model: ServedModel;
}

/**
 * What the server can do, without a word of HTTP: any transport parses its requests, calls this, and writes the answer.
 */
export class DataPlane {
  constructor(private readonly host: ModelHost) {}

  /**
   * Answers one request.
   *
   * @param version asks one version instead of the routes
   * @param input the rows, or a reader that makes them once the version, and so the signature, is known
   * @throws RequestError 400, 404, 413, 503
   */
  async infer(
    endpoint: string,
    version: string | undefined,
    input: ColumnBatch | ((model: LoadedModel) => ColumnBatch),
  ): Promise<Inference> {
    // Nothing may be awaited before the run starts: from then on the model waits for it before it is freed.
    const model = this.host.pick(endpoint, version);
    const outputs = await model.run(typeof input === 'function' ? input(model) : input);
    return { endpoint, version: model.served.version, model, outputs };
  }

  /** @throws RequestError 404, 503 */
  metadata(endpoint: string, version?: string): ModelMetadata {
    const state = this.host.state(endpoint);
    const routes = state?.models ? state.table.routes : [];
    const candidates = this.host.candidates(endpoint);
    const greatest = routes.reduce<(typeof routes)[number] | undefined>(
      (best, route) => (best && best.weight >= route.weight ? best : route),
      undefined,
    );
    const { served } = this.host.pick(
      endpoint,
      version ?? greatest?.model.version ?? (state ? undefined : candidates[0]),
    );
    return {
      endpoint,
      generation: state?.table.generation,
      versions: [
        ...routes.map(({ model, weight }) => ({
          version: model.version,
          sha256: model.onnx.sha256,
          weight,
          role: 'route' as const,
        })),
        ...candidates.map((candidate) => ({
          version: candidate,
          sha256: this.host.pick(endpoint, candidate).served.onnx.sha256,
          weight: 0,
          role: 'candidate' as const,
        })),
      ],
      model: served,
    };
  }

  /** Endpoints that have routes. */
  endpoints(): string[] {
    return this.host.endpoints();
  }

  /**
   * The endpoint of a request that names none.
   *
   * @throws RequestError 400 where there are several, 503 where there is none
   */
  soleEndpoint(): string {
    const endpoints = this.endpoints();
    const [sole] = endpoints;
    if (sole === undefined) throw new RequestError(503, 'no model is served yet; try again later');
    if (endpoints.length > 1)
      throw new RequestError(
        400,
        `several models are served; POST to /endpoints/<model>/invocations with one of ${endpoints.join(', ')}`,
      );
    return sole;
  }

  /** Generation of the routes in force, by endpoint; withdrawn endpoints included. */
  generations(): ReadonlyMap<string, number> {
    return new Map(this.host.tables().map((table) => [table.endpoint, table.generation]));
  }

  /** Whether something is served, and everything that should be can be. */
  ready(): boolean {
    const endpoints = this.endpoints();
    return endpoints.length > 0 && endpoints.every((endpoint) => this.host.state(endpoint)?.ready === true);
  }

  /** Whether a request to the endpoint, or to one version of it, gets an answer. */
  modelReady(endpoint: string, version?: string): boolean {
    const state = this.host.state(endpoint);
    if (version === undefined) return state?.ready === true;
    return state?.version(version) !== undefined || this.host.candidates(endpoint).includes(version);
  }
}
