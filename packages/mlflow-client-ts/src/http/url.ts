import { invalidArgument } from '../errors.ts';

/** Query values; arrays repeat the key, undefined is left out. */
export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

/** A tracking URI split into what may be shown and what may not. */
export interface TrackingTarget {
  /** Scheme, host and path without credentials, query or trailing slash. */
  readonly base: string;
  /** Credentials found inside the URI. */
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** Parses and checks a tracking URI; its credentials leave the URL here and never return to it. */
export function parseTrackingUri(uri: string): TrackingTarget {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    // The text is not repeated: it may hold a password.
    throw invalidArgument('trackingUri is not a valid URL; expected something like http://127.0.0.1:5000');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw invalidArgument(`trackingUri must be an http or https URL, got scheme "${url.protocol}"`);
  }
  const username = url.username === '' ? undefined : decodeURIComponent(url.username);
  const password = url.password === '' ? undefined : decodeURIComponent(url.password);
  return { base: `${url.origin}${url.pathname}`.replace(/\/+$/, ''), username, password };
}

/** Joins base, path and query. */
export function buildUrl(base: string, path: string, query?: Query): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue;
    if (typeof value === 'object') for (const item of value) search.append(key, item);
    else search.append(key, String(value));
  }
  const text = search.toString();
  return text === '' ? `${base}${path}` : `${base}${path}?${text}`;
}

/** The URL as it may be shown: no credentials, no query (presigned URLs carry secrets there). */
export function redactUrl(url: string): string {
  try {
    const parsed = new URL(url);
    return `${parsed.origin}${parsed.pathname}`;
  } catch {
    return '(unreadable URL)';
  }
}

/** Percent-encodes one path segment, refusing those that a URL would resolve away. */
export function encodeSegment(segment: string): string {
  if (segment === '.' || segment === '..')
    throw invalidArgument(`"${segment}" is not usable as an identifier`);
  return encodeURIComponent(segment);
}
