import { PerennialError } from '../../../contracts/errors.ts';
import type { HttpSource } from '../../../contracts/spec/sources.ts';
import type { Secrets } from '../../secrets.ts';

/** An address with its secrets filled in. */
export interface Target {
  url: URL;
  headers: Record<string, string>;
}

/** The address as the spec has it: references to secrets stay references; a query may hold a token. */
export const originOf = (source: HttpSource): string => source.url.replace(/[?#].*$/s, '?…');

/** @throws PerennialError `SecretMissing`, `SourceUnreadable` */
export function targetOf(where: string, source: HttpSource, secrets: Secrets): Target {
  const text = secrets.resolve(source.url);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new PerennialError('SourceUnreadable', `${where}: it is no address of the web; write https://…`);
  const headers = Object.fromEntries(
    Object.entries(source.headers).map(([key, value]) => [key.toLowerCase(), secrets.resolve(value)]),
  );
  if (url.username !== '' || url.password !== '') {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers.authorization ??= `Basic ${Buffer.from(credentials).toString('base64')}`;
    url.username = '';
    url.password = '';
  }
  url.hash = '';
  return { url, headers };
}

/** What an answer's head says of its content; `null` where it says nothing. */
export function identityOf(
  etag: string | null | undefined,
  lastModified: string | null | undefined,
): string | null {
  if (etag) return `etag:${etag}`;
  return lastModified ? `modified:${lastModified}` : null;
}

/** @throws PerennialError where the head says that there is no file to be had */
export function acceptHead(where: string, headers: Readonly<Record<string, string>>, status: number): void {
  if (status === 404 || status === 410)
    throw new PerennialError('SourceNotFound', `${where}: the server answers ${status}; look at the address`);
  if (status === 401 || status === 403 || status === 407)
    throw new PerennialError(
      'SourceDenied',
      `${where}: the server answers ${status}; give it credentials under headers, as \${env:PERENNIAL_SECRET_…}`,
    );
  if (status !== 200)
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: the server answers ${status}, not 200 with a file`,
    );
  if (/^(text\/html|application\/xhtml)/i.test(headers['content-type'] ?? ''))
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: it is an HTML page, such as an error or a log-in; look at it in a browser, and name the address of the file itself`,
    );
}
