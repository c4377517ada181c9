import { isAbsolute, relative, resolve } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';

/** A folder of this machine or of a network file system. */
export interface FileLocation {
  kind: 'file';
  root: string;
}

/** A prefix of a bucket. */
export interface S3Location {
  kind: 's3';
  /** `s3://bucket/prefix`, for messages. */
  root: string;
  bucket: string;
  /** Without slashes at its ends; may be empty. */
  prefix: string;
  /** Of a server that is not Amazon's. */
  endpoint?: string;
  region?: string;
}

/** Where an artifact store lies. */
export type StoreLocation = FileLocation | S3Location;

const refuse = (variable: string, value: string, expected: string): never => {
  throw new PerennialError('InputInvalid', `${variable} is "${value}"; expected ${expected}`);
};

/**
 * Reads `file:<folder>` or `s3://bucket/prefix`.
 *
 * @param options.cwd a relative folder is relative to it
 * @param options.endpoint base URL of an S3 server that is not Amazon's
 * @param variable where the text stands, for messages
 * @throws PerennialError `InputInvalid`
 * @example storeLocation('s3://models/team-a', { endpoint: 'http://127.0.0.1:7070' })
 */
export function storeLocation(
  text: string,
  options: { cwd?: string; endpoint?: string | undefined; region?: string | undefined } = {},
  variable = 'PERENNIAL_ARTIFACT_STORE',
): StoreLocation {
  if (text.startsWith('file:')) {
    const folder = text.slice('file:'.length).replace(/^\/\/(?=\/)/, '');
    if (folder === '' || folder.startsWith('//')) refuse(variable, text, 'file:FOLDER');
    return { kind: 'file', root: resolve(options.cwd ?? process.cwd(), folder) };
  }
  const [, bucket, path = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/.exec(text) ?? [];
  if (bucket === undefined) return refuse(variable, text, 'file:FOLDER or s3://BUCKET/PREFIX');
  const prefix = path.replaceAll(/^\/+|\/+$/g, '');
  if (!/^([\w.=-]+(\/[\w.=-]+)*)?$/.test(prefix) || prefix.split('/').some((name) => /^\.{1,2}$/.test(name)))
    refuse(variable, text, 'a prefix of letters, digits, ".", "_", "-", "=" and "/"');
  const { endpoint, region } = options;
  if (endpoint !== undefined && !/^https?:\/\/[^/@?#\s]+\/?$/.test(endpoint))
    refuse(
      'PERENNIAL_ARTIFACT_STORE_ENDPOINT',
      endpoint.replace(/\/\/[^/]*@/, '//…@'),
      'http(s)://HOST:PORT',
    );
  return {
    kind: 's3',
    root: `s3://${bucket}${prefix && `/${prefix}`}`,
    bucket,
    prefix,
    ...(endpoint === undefined ? {} : { endpoint }),
    // Servers other than Amazon's do not care; the SDK wants one.
    ...(region !== undefined ? { region } : endpoint !== undefined ? { region: 'us-east-1' } : {}),
  };
}

/** Whether a path lies in a folder. */
export function isWithin(path: string, folder: string): boolean {
  const rest = relative(folder, path);
  return rest === '' || !(rest === '..' || rest.startsWith('../') || isAbsolute(rest));
}
