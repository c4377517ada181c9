import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { PerennialError } from '../contracts/errors.ts';
import { DEFAULT_TASK_QUEUE } from '../contracts/names.ts';
import { sizeBytes } from '../contracts/sizes.ts';
import { DEFAULT_RESOURCE, resourceName } from '../contracts/spec/candidates.ts';
import { DEFAULT_MEMORY_LIMIT } from './duckdb/memory.ts';
import {
  FEATURE_STORE_VARIABLES,
  type FeatureStoreLocation,
  featureStoreSettings,
} from './feature-store/settings.ts';
import { type MailSettings, NOTICE_VARIABLES, noticeSettings } from './notices/settings.ts';
import { PREDICTION_VARIABLES, type PredictionSettings, predictionSettings } from './predictions/settings.ts';
import { type Programs, readPrograms } from './processes/programs.ts';
import { hostPatterns } from './sources/hosts.ts';
import { type StoreLocation, storeLocation } from './store/store-location.ts';

/** What a worker may use and where its things are. Secrets are not part of it. */
export interface PerennialConfig {
  /** Folder of the artifact store, scratch files and logs. */
  dataDir: string;
  /** Python interpreter with the trainers' packages. */
  python: string;
  /** Folders that file sources may lie in. */
  sourceRoots: readonly string[];
  /** Hosts that HTTP, S3 and PostgreSQL sources may name, as `example.org`, `*.example.org`, `example.org:8443`; default none. */
  sourceHosts?: readonly string[];
  /** Those of them that may have a private address; default none. */
  sourcePrivateHosts?: readonly string[];
  /** Folders that batches may write files to; default none. */
  outputRoots?: readonly string[];
  /** Hosts of S3 and PostgreSQL that batches may write to, as `sourceHosts`; default none. */
  outputHosts?: readonly string[];
  mlflowTrackingUri: string;
  /** Address of the MLflow UI for links; by default the tracking URI. */
  mlflowUi: string;
  taskQueue: string;
  /** Custom checks that may run: SHA-256 digests of bundled modules, folders of such bundles, or `any`; default none. */
  modules?: readonly string[];
  /** Programs that candidates of trainer `command` may name, with absolute paths; default none. */
  programs?: Programs;
  /** Resource classes whose task queues the worker polls for activities, beside its own queue; default none. */
  resources?: readonly string[];
  /** Memory of each DuckDB that an activity opens, such as `8GB`; default `1GB`. */
  duckdbMemory?: string;
  /** Where artifacts lie; default `artifacts` in the data directory. */
  artifactStore?: StoreLocation;
  /** Bytes of the local copies of a store on S3; default 10 GB. */
  artifactCache?: number;
  /** File of the encryption keys; default `keyring.json` in the data directory, for a store that lies there too. */
  keyring?: string;
  /** Whether every artifact is encrypted, not only what holds personal data. */
  encryptAll?: boolean;
  /** Where recorded predictions lie, and for how long. */
  predictions?: PredictionSettings;
  /** Where features are looked up while serving; default `features` in the data directory. */
  featureStore?: FeatureStoreLocation;
  /** File of the people whose signed votes count; default none. */
  approvers?: string;
  /** Where notices of alerts, approvals and roll-outs are posted to; default: the log alone. */
  notifyUrl?: string;
  /** From whom and to whom alerts are mailed; default: nobody. */
  mail?: MailSettings;
}

/** The variables that {@link configFromEnv} reads, for documentation and `--help`. */
export const CONFIG_VARIABLES = {
  PERENNIAL_DATA_DIR: 'folder of artifacts, scratch files and logs (default .perennial)',
  PERENNIAL_PYTHON: 'Python with the trainers’ packages (default .venv/bin/python, else python3)',
  PERENNIAL_SOURCE_ROOTS: `folders that file sources may lie in, separated by "${delimiter}" (default: the working directory)`,
  PERENNIAL_SOURCE_HOSTS:
    'hosts that sources may name, separated by commas: example.org, *.example.org, example.org:8443 (default: none)',
  PERENNIAL_SOURCE_PRIVATE_HOSTS:
    'those of them that may have a loopback, private or link-local address (default: none)',
  PERENNIAL_OUTPUT_ROOTS: `folders that batch scoring may write files to, separated by "${delimiter}" (default: the working directory)`,
  PERENNIAL_OUTPUT_HOSTS:
    'hosts of S3 and PostgreSQL that batch scoring may write to, as PERENNIAL_SOURCE_HOSTS (default: none)',
  PERENNIAL_TASK_QUEUE: `Temporal task queue (default ${DEFAULT_TASK_QUEUE})`,
  PERENNIAL_MLFLOW_UI: 'address of the MLflow UI for links (default MLFLOW_TRACKING_URI)',
  PERENNIAL_MODULES:
    'custom checks that may run, comma-separated: SHA-256 digests, folders of bundles, or any (default none)',
  PERENNIAL_PROGRAMS:
    'JSON file of the programs that trainer command may start: {"NAME": {"command": ["./program", "argument"]}} (default none)',
  PERENNIAL_RESOURCES:
    'resource classes whose task queues (<task queue>-<class>) a worker polls too, separated by commas (default none)',
  PERENNIAL_DUCKDB_MEMORY:
    'memory of each DuckDB, such as 512MB or 8GB (default 1GB: the process then stays below 2 GiB)',
  PERENNIAL_ARTIFACT_STORE: 'file:FOLDER or s3://BUCKET/PREFIX (default file:<data dir>/artifacts)',
  PERENNIAL_ARTIFACT_STORE_ENDPOINT: 'base URL of an S3 server that is not Amazon’s',
  PERENNIAL_ARTIFACT_CACHE: 'room for local copies of a store on S3 (default 10GB)',
  PERENNIAL_KEYRING: 'file of the keys that artifacts are encrypted with (default <data dir>/keyring.json)',
  PERENNIAL_ENCRYPT: 'which artifacts are encrypted at rest: personal or all (default personal)',
  ...PREDICTION_VARIABLES,
  ...FEATURE_STORE_VARIABLES,
  PERENNIAL_APPROVERS:
    'JSON file of the people whose signed votes count, with their public keys; see docs/approvals.md (default none)',
  ...NOTICE_VARIABLES,
  MLFLOW_TRACKING_URI: 'address of the MLflow server (default http://127.0.0.1:5000)',
} as const;

/**
 * Reads the configuration from environment variables.
 *
 * @throws PerennialError `InputInvalid` where one makes no sense
 * @example
 * const config = configFromEnv(process.env);
 */
export function configFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  cwd = process.cwd(),
): PerennialConfig {
  const mlflowTrackingUri = env.MLFLOW_TRACKING_URI ?? 'http://127.0.0.1:5000';
  const venv = join(cwd, '.venv', 'bin', 'python');
  return {
    dataDir: resolve(cwd, env.PERENNIAL_DATA_DIR ?? '.perennial'),
    python: env.PERENNIAL_PYTHON ?? (existsSync(venv) ? venv : 'python3'),
    sourceRoots: foldersOf(env.PERENNIAL_SOURCE_ROOTS ?? cwd, cwd),
    sourceHosts: hostPatterns(env.PERENNIAL_SOURCE_HOSTS ?? '', 'PERENNIAL_SOURCE_HOSTS'),
    sourcePrivateHosts: hostPatterns(
      env.PERENNIAL_SOURCE_PRIVATE_HOSTS ?? '',
      'PERENNIAL_SOURCE_PRIVATE_HOSTS',
    ),
    outputRoots: foldersOf(env.PERENNIAL_OUTPUT_ROOTS ?? cwd, cwd),
    outputHosts: hostPatterns(env.PERENNIAL_OUTPUT_HOSTS ?? '', 'PERENNIAL_OUTPUT_HOSTS'),
    mlflowTrackingUri,
    mlflowUi: env.PERENNIAL_MLFLOW_UI ?? withoutCredentials(mlflowTrackingUri),
    taskQueue: env.PERENNIAL_TASK_QUEUE ?? DEFAULT_TASK_QUEUE,
    modules: modulesOf(env.PERENNIAL_MODULES ?? '', cwd),
    duckdbMemory: memoryOf(env.PERENNIAL_DUCKDB_MEMORY ?? DEFAULT_MEMORY_LIMIT),
    ...(env.PERENNIAL_PROGRAMS ? { programs: readPrograms(resolve(cwd, env.PERENNIAL_PROGRAMS)) } : {}),
    resources: resourcesOf(env.PERENNIAL_RESOURCES ?? ''),
    predictions: predictionSettings(env, cwd),
    ...featureStoreSettings(env, cwd),
    ...storeOf(env, cwd),
    ...(env.PERENNIAL_APPROVERS ? { approvers: resolve(cwd, env.PERENNIAL_APPROVERS) } : {}),
    ...noticeSettings(env),
  };
}

const foldersOf = (text: string, cwd: string): string[] =>
  text
    .split(delimiter)
    .filter(Boolean)
    .map((root) => resolve(cwd, root));

/** An empty variable is one that is not set: so do deployments leave out what they do not need. */
function storeOf(
  env: Readonly<Record<string, string | undefined>>,
  cwd: string,
): Pick<PerennialConfig, 'artifactStore' | 'artifactCache' | 'keyring' | 'encryptAll'> {
  const store = env.PERENNIAL_ARTIFACT_STORE;
  return {
    ...(store
      ? {
          artifactStore: storeLocation(store, {
            cwd,
            endpoint: env.PERENNIAL_ARTIFACT_STORE_ENDPOINT || undefined,
            region: env.AWS_REGION || undefined,
          }),
        }
      : {}),
    ...(env.PERENNIAL_ARTIFACT_CACHE ? { artifactCache: bytesOf(env.PERENNIAL_ARTIFACT_CACHE) } : {}),
    ...(env.PERENNIAL_KEYRING ? { keyring: resolve(cwd, env.PERENNIAL_KEYRING) } : {}),
    ...(encryptsAll(env.PERENNIAL_ENCRYPT) ? { encryptAll: true } : {}),
  };
}

/** A mistaken word must not leave anything unencrypted. */
function encryptsAll(text = ''): boolean {
  if (text === 'all') return true;
  if (text === '' || text === 'personal') return false;
  throw new PerennialError('InputInvalid', `PERENNIAL_ENCRYPT is "${text}"; expected personal or all`);
}

function bytesOf(text: string): number {
  const bytes = sizeBytes(text);
  if (bytes !== undefined) return bytes;
  throw new PerennialError(
    'InputInvalid',
    `PERENNIAL_ARTIFACT_CACHE is "${text}"; expected a number with MB, GB, TB, MiB, GiB or TiB, such as 10GB`,
  );
}

/** DuckDB takes a mistaken unit for an internal error, and fails at its first query where it has next to nothing. */
function memoryOf(text: string): string {
  if (sizeBytes(text) === undefined)
    throw new PerennialError(
      'InputInvalid',
      `PERENNIAL_DUCKDB_MEMORY is "${text}"; expected a number with MB, GB, TB, MiB, GiB or TiB, such as 4GB`,
    );
  return text;
}

/** Names of resource classes, each once. `cpu` is the worker's own queue. */
function resourcesOf(text: string): string[] {
  const names = text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
  const wrong = names.find((name) => !resourceName.safeParse(name).success);
  if (wrong !== undefined)
    throw new PerennialError(
      'InputInvalid',
      `PERENNIAL_RESOURCES holds "${wrong}"; expected names of resource classes (lower-case letters, digits and -), separated by commas`,
    );
  return [...new Set(names)].filter((name) => name !== DEFAULT_RESOURCE);
}

/** Digests and `any` as they are, folders absolute. */
const modulesOf = (text: string, cwd: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
    .map((item) => (item === 'any' || /^[0-9a-f]{64}$/.test(item) ? item : resolve(cwd, item)));

function withoutCredentials(uri: string): string {
  try {
    const url = new URL(uri);
    url.username = '';
    url.password = '';
    return url.toString().replace(/\/$/, '');
  } catch {
    return uri;
  }
}
