import { invalidArgument } from './errors.ts';

/**
 * Limits of MLflow 3.17 (`mlflow/utils/validation.py`), in characters unless said
 * otherwise. The server cuts over-long run params and run tags silently; this
 * client refuses them instead.
 */
export const LIMITS = {
  /** Metrics per log-batch request. */
  metricsPerBatch: 1000,
  /** Params per log-batch request. */
  paramsPerBatch: 100,
  /** Tags per log-batch request. */
  tagsPerBatch: 100,
  /** Metrics, params and tags together per log-batch request. */
  entitiesPerBatch: 1000,
  /** Bytes of a log-batch body. */
  batchBytes: 1_000_000,
  /** Key of a metric, param or run tag. */
  entityKey: 250,
  /** Value of a run param. */
  paramValue: 6000,
  /** Value of a run tag. */
  tagValue: 8000,
  /** Name of an experiment. */
  experimentName: 500,
  /** Key of an experiment tag. */
  experimentTagKey: 250,
  /** Value of an experiment tag. */
  experimentTagValue: 20_000,
  /** Key of a registered-model or model-version tag. */
  registryTagKey: 250,
  /** Value of a registered-model or model-version tag. */
  registryTagValue: 100_000,
  /** Name of an alias. */
  alias: 255,
  /** Name of a dataset. */
  datasetName: 500,
  /** Digest of a dataset. */
  datasetDigest: 36,
  /** Schema of a dataset. */
  datasetSchema: 1_048_575,
  /** Source of a dataset. */
  datasetSource: 65_535,
  /** Profile of a dataset. */
  datasetProfile: 16_777_215,
  /** Key of a dataset-input tag. */
  inputTagKey: 255,
  /** Value of a dataset-input tag. */
  inputTagValue: 500,
} as const;

/** Length as the server counts it: code points, not UTF-16 units. */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/** Refuses `text` when it is longer than `limit`. `what` names it in the message. */
export function assertLength(what: string, text: string, limit: number): void {
  // Code points never outnumber UTF-16 units, so short strings need no counting.
  if (text.length <= limit) return;
  const length = codePoints(text);
  if (length <= limit) return;
  throw invalidArgument(`${what} has ${length} characters; MLflow allows at most ${limit}`);
}

/** Refuses an empty `text`. */
export function assertNotEmpty(what: string, text: string): void {
  if (text.trim() === '') throw invalidArgument(`${what} must not be empty`);
}

/** Checks a key/value pair against its limits. */
export function assertPair(
  what: string,
  key: string,
  value: string,
  keyLimit: number,
  valueLimit: number,
): void {
  assertNotEmpty(`${what} key`, key);
  assertLength(`${what} key "${shorten(key)}"`, key, keyLimit);
  assertLength(`${what} "${shorten(key)}"`, value, valueLimit);
}

/** Checks all pairs of a record. */
export function assertPairs(
  what: string,
  pairs: Readonly<Record<string, string>> | undefined,
  keyLimit: number,
  valueLimit: number,
): void {
  for (const [key, value] of Object.entries(pairs ?? {})) assertPair(what, key, value, keyLimit, valueLimit);
}

/** Refuses aliases the server keeps for itself. */
export function assertAlias(alias: string): void {
  assertNotEmpty('alias', alias);
  assertLength(`alias "${shorten(alias)}"`, alias, LIMITS.alias);
  if (alias.toLowerCase() === 'latest' || /^v\d+$/i.test(alias)) {
    throw invalidArgument(`alias "${alias}" is reserved by MLflow ("latest" and "v<number>" are)`);
  }
}

/** The start of `text`, fit for a message. */
export function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
