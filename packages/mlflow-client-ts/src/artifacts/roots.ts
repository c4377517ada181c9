import { MlflowError } from '../errors.ts';
import { read } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { encodeSegment } from '../http/url.ts';
import { loggedModelSchema } from '../schemas/logged-model.ts';
import { runSchema } from '../schemas/run.ts';
import { wrapped } from '../schemas/wire.ts';
import { type ArtifactLocation, type ArtifactRoot, parseArtifactUri } from './location.ts';

// Enough for any realistic mix of runs; the cache only saves a lookup.
const CACHE_SIZE = 1000;

const run = wrapped('run', runSchema);
const model = wrapped('model', loggedModelSchema);

/** Finds where the files of a run or model are. The answer never changes, so it is remembered. */
export class ArtifactRoots {
  readonly #transport: Transport;
  readonly #known = new Map<string, string>();

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Root of `location`. */
  async of(location: ArtifactLocation, options: CallOptions | undefined): Promise<ArtifactRoot> {
    return parseArtifactUri(await this.#uri(location, options), this.#transport.config.base);
  }

  async #uri(location: ArtifactLocation, options: CallOptions | undefined): Promise<string> {
    if (location.uri !== undefined) return location.uri;
    const key = location.runId !== undefined ? `run ${location.runId}` : `model ${location.modelId}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const uri = await this.#ask(location, options);
    if (uri === undefined) {
      throw new MlflowError({ code: 'invalid-response', message: `MLflow knows no artifact URI for ${key}` });
    }
    const oldest = this.#known.keys().next();
    if (this.#known.size >= CACHE_SIZE && oldest.done !== true) this.#known.delete(oldest.value);
    this.#known.set(key, uri);
    return uri;
  }

  async #ask(location: ArtifactLocation, options: CallOptions | undefined): Promise<string | undefined> {
    if (location.runId !== undefined) {
      const spec = read('artifacts (run lookup)', 'mlflow/runs/get', { run_id: location.runId });
      return (await this.#transport.json(spec, run, options)).info.artifactUri;
    }
    if (location.modelId !== undefined) {
      const path = `mlflow/logged-models/${encodeSegment(location.modelId)}`;
      return (await this.#transport.json(read('artifacts (model lookup)', path), model, options)).artifactUri;
    }
    return undefined;
  }
}
