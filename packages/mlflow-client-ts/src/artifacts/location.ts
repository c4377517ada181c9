import { invalidArgument } from '../errors.ts';

/** The files of a run. */
export interface RunLocation {
  runId: string;
  modelId?: never;
  uri?: never;
}

/** The files of a logged model (MLflow 3). */
export interface ModelLocation {
  modelId: string;
  runId?: never;
  uri?: never;
}

/** A place in the server's artifact proxy: `mlflow-artifacts:/some/directory`. */
export interface UriLocation {
  uri: string;
  runId?: never;
  modelId?: never;
}

/** Where artifacts are: one of run, logged model or `mlflow-artifacts:` URI. */
export type ArtifactLocation = RunLocation | ModelLocation | UriLocation;

/** Where the bytes can be reached. */
export type ArtifactRoot =
  /** Through the server's artifact proxy, at this path below it (no slash at either end). */
  | { readonly kind: 'proxy'; readonly path: string }
  /** In a store the server reaches and this client does not. */
  | { readonly kind: 'store'; readonly scheme: string };

const PROXY_PREFIX = '/api/2.0/mlflow-artifacts/artifacts';

/**
 * Reads an artifact URI.
 *
 * @param base the tracking URI without credentials; the proxy must be on it.
 * @throws MlflowError (`invalid-argument`) when the URI names another host: credentials
 * meant for one server are not sent to another.
 */
export function parseArtifactUri(uri: string, base: string): ArtifactRoot {
  let parsed: URL;
  try {
    parsed = new URL(uri);
  } catch {
    // Bare paths (`/mlruns/0/…`) are how file stores without a proxy answer.
    return { kind: 'store', scheme: 'file' };
  }
  const scheme = parsed.protocol.slice(0, -1);
  if (scheme === 'mlflow-artifacts') {
    const at = new URL(base);
    if (parsed.host !== '' && parsed.host !== at.host) {
      throw invalidArgument(
        `artifact URI names the server "${parsed.host}", this client talks to "${at.host}"; create a client for that server`,
      );
    }
    return { kind: 'proxy', path: trimSlashes(rawPath(uri)) };
  }
  const proxy = `${base}${PROXY_PREFIX}/`;
  if (uri.startsWith(proxy)) return { kind: 'proxy', path: trimSlashes(uri.slice(proxy.length)) };
  return { kind: 'store', scheme };
}

/** Path of `scheme:/path` or `scheme://host/path`, as written: the server does not decode it either. */
function rawPath(uri: string): string {
  return uri.replace(/^[a-z][a-z0-9+.-]*:(\/\/[^/]*)?/i, '');
}

function trimSlashes(path: string): string {
  return path.replace(/^\/+|\/+$/g, '');
}

/**
 * Checks a relative artifact path.
 *
 * @throws MlflowError (`invalid-argument`) for empty, absolute or climbing paths.
 */
export function checkPath(path: string): string {
  const bad =
    path === '' ||
    path.includes('\\') ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..');
  if (bad) {
    throw invalidArgument(
      `artifact path "${path}" is not usable; expected a relative path such as "model/model.onnx" without "..", "." or "\\"`,
    );
  }
  return path;
}

/** Joins a root path and a relative path; either may be empty. */
export function joinPath(root: string, path: string | undefined): string {
  if (path === undefined || path === '') return root;
  return root === '' ? path : `${root}/${path}`;
}

/** Percent-encodes a path segment by segment. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
