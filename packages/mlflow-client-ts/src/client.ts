import { invalidArgument } from './errors.ts';
import type { Auth } from './http/auth.ts';
import { type RetryOptions, retryPolicy } from './http/retry.ts';
import { Transport } from './http/transport.ts';
import { parseTrackingUri } from './http/url.ts';
import { Artifacts } from './resources/artifacts.ts';
import { Experiments } from './resources/experiments.ts';
import { LoggedModels } from './resources/logged-models.ts';
import { ModelVersions } from './resources/model-versions.ts';
import { RegisteredModels } from './resources/registered-models.ts';
import { Runs } from './resources/runs.ts';
import { Server } from './resources/server.ts';
import { Webhooks } from './resources/webhooks.ts';
import { Workspaces } from './resources/workspaces.ts';

/** How to reach a server. */
export interface MlflowClientOptions {
  /** For example `http://127.0.0.1:5000`. Credentials inside it count as basic auth and are never shown. */
  trackingUri: string;
  /** Default: none, or what `trackingUri` holds. */
  auth?: Auth | undefined;
  /** Workspace to work in, on servers that have them. */
  workspace?: string | undefined;
  /** Replaces the global `fetch`, for proxies or tests. */
  fetch?: typeof fetch | undefined;
  /** Milliseconds without any progress after which an attempt fails. Default 30 000. */
  timeoutMs?: number | undefined;
  retry?: RetryOptions | undefined;
  /** Default `mlflow-client-ts`. */
  userAgent?: string | undefined;
}

/** Variables {@link MlflowClient.fromEnv} reads. */
export type MlflowEnv = Readonly<Record<string, string | undefined>>;

/**
 * A client of one MLflow server. Holds no connection and no state worth keeping; make as
 * many as there are servers, workspaces or users.
 *
 * @example
 * ```ts
 * const client = new MlflowClient({ trackingUri: 'http://127.0.0.1:5000' });
 * const experimentId = await client.experiments.getOrCreate({ name: 'churn' });
 * const run = await client.runs.create({ experimentId });
 * await client.runs.logBatch({ runId: run.info.runId, metrics: [{ key: 'auc', value: 0.91 }] });
 * await client.runs.finish({ runId: run.info.runId });
 * ```
 */
export class MlflowClient {
  /** Tracking URI as it may be shown: without credentials. */
  readonly trackingUri: string;
  readonly experiments: Experiments;
  readonly runs: Runs;
  readonly registeredModels: RegisteredModels;
  readonly modelVersions: ModelVersions;
  readonly loggedModels: LoggedModels;
  readonly artifacts: Artifacts;
  readonly webhooks: Webhooks;
  readonly workspaces: Workspaces;
  readonly server: Server;

  /** @throws MlflowError (`invalid-argument`) when `trackingUri` is not an http or https URL. */
  constructor(options: MlflowClientOptions) {
    const target = parseTrackingUri(options.trackingUri);
    const transport = new Transport({
      base: target.base,
      auth: options.auth ?? uriAuth(target.username, target.password),
      workspace: options.workspace,
      // Bound late, so that a global fetch replaced after construction is honoured.
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      timeoutMs: options.timeoutMs ?? 30_000,
      retry: retryPolicy(options.retry),
      userAgent: options.userAgent ?? 'mlflow-client-ts',
    });
    this.trackingUri = target.base;
    this.experiments = new Experiments(transport);
    this.runs = new Runs(transport);
    this.registeredModels = new RegisteredModels(transport);
    this.modelVersions = new ModelVersions(transport);
    this.loggedModels = new LoggedModels(transport);
    this.server = new Server(transport);
    this.artifacts = new Artifacts(transport, this.server);
    this.webhooks = new Webhooks(transport);
    this.workspaces = new Workspaces(transport);
  }

  /**
   * Builds a client from the variables MLflow's own client reads:
   * `MLFLOW_TRACKING_URI` (required), `MLFLOW_TRACKING_USERNAME` with
   * `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`, and `MLFLOW_WORKSPACE`.
   *
   * @param overrides win over the environment.
   * @throws MlflowError (`invalid-argument`) when there is no tracking URI.
   */
  static fromEnv(env: MlflowEnv = process.env, overrides: Partial<MlflowClientOptions> = {}): MlflowClient {
    const trackingUri = overrides.trackingUri ?? env.MLFLOW_TRACKING_URI;
    if (trackingUri === undefined || trackingUri === '')
      throw invalidArgument('MLFLOW_TRACKING_URI is not set');
    const workspace = env.MLFLOW_WORKSPACE;
    return new MlflowClient({
      auth: envAuth(env),
      workspace: workspace === '' ? undefined : workspace,
      ...overrides,
      trackingUri,
    });
  }
}

function uriAuth(username: string | undefined, password: string | undefined): Auth | undefined {
  if (username === undefined && password === undefined) return undefined;
  return { type: 'basic', username: username ?? '', password: password ?? '' };
}

/** A user and password win over a token, as in MLflow's own client. */
function envAuth(env: MlflowEnv): Auth | undefined {
  const username = env.MLFLOW_TRACKING_USERNAME;
  const password = env.MLFLOW_TRACKING_PASSWORD;
  if (username && password) return { type: 'basic', username, password };
  const token = env.MLFLOW_TRACKING_TOKEN;
  return token ? { type: 'bearer', token } : undefined;
}
