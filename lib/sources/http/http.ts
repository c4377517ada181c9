import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { HttpSource } from '../../../contracts/spec/sources.ts';
import { formatOf } from '../formats.ts';
import { prepareFiles } from '../prepared-files.ts';
import { type AcquiredSource, maxBytesOf, type SourceOptions, timeoutsOf } from '../source.ts';
import { HttpClient } from './client.ts';
import { decodeBody } from './content-encoding.ts';
import { type Download, download } from './download.ts';
import { ask } from './exchange.ts';
import { HttpCache, type Remembered } from './http-cache.ts';
import { acceptHead, identityOf, originOf, type Target, targetOf } from './target.ts';

/**
 * Downloads a web address, or takes what it answered last where the server says that nothing changed.
 *
 * @throws PerennialError `SourceDenied`, `SourceNotFound`, `SourceUnavailable`, `SourceUnreadable`
 */
export async function acquireHttp(
  name: string,
  source: HttpSource,
  options: SourceOptions,
): Promise<AcquiredSource> {
  const { client, ...exchange } = open(name, source, options);
  try {
    return await new HttpTransfer(name, source, options, exchange.where, exchange.target, client).acquire();
  } finally {
    client.close();
  }
}

/** What the address says of its content without sending it; `null` where it says nothing. */
export async function identifyHttp(
  name: string,
  source: HttpSource,
  options: Pick<SourceOptions, 'hosts' | 'secrets' | 'signal' | 'timeouts'>,
): Promise<string | null> {
  return (await headOf(name, source, options)).identity;
}

/**
 * What the address says of its content without sending it, also that which proves nothing: `length` is the number of
 * bytes, of which another content may have as many.
 */
export async function headOf(
  name: string,
  source: HttpSource,
  options: Pick<SourceOptions, 'hosts' | 'secrets' | 'signal' | 'timeouts'>,
): Promise<{ identity: string | null; length: string | null }> {
  const { where, target, client } = open(name, source, options);
  try {
    const { answer } = await ask(
      where,
      { ...target, method: 'HEAD', transferHeaders: { 'accept-encoding': 'gzip' } },
      { hosts: options.hosts, client, signal: options.signal },
    );
    answer.destroy();
    if (answer.statusCode !== 200) return { identity: null, length: null };
    const { etag, 'last-modified': lastModified, 'content-length': length } = answer.headers;
    return { identity: identityOf(etag, lastModified), length: length ?? null };
  } finally {
    client.close();
  }
}

function open(
  name: string,
  source: HttpSource,
  options: Pick<SourceOptions, 'hosts' | 'secrets' | 'signal' | 'timeouts'>,
): { where: string; target: Target; client: HttpClient } {
  const where = `source ${name}: ${originOf(source)}`;
  const target = targetOf(where, source, options.secrets);
  return { where, target, client: new HttpClient(options.hosts, timeoutsOf(options), options.signal) };
}

/** One acquisition of one address. */
class HttpTransfer {
  readonly #folder: string;
  readonly #cache: HttpCache | undefined;

  constructor(
    private readonly name: string,
    private readonly source: HttpSource,
    private readonly options: SourceOptions,
    private readonly where: string,
    private readonly target: Target,
    private readonly client: HttpClient,
  ) {
    this.#folder = join(options.scratchDir, 'http');
    this.#cache = options.cache && HttpCache.of(options.cache, [target.url.href, target.headers]);
  }

  async acquire(): Promise<AcquiredSource> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const known = await this.#known();
    let answer = await this.#download(known ? conditionsOf(known) : {});
    if (answer.status === 304 && known) {
      const identity = identityOf(known.etag, known.lastModified);
      const acquired = await this.#read(this.#path('remembered'), known.mediaType, identity);
      if (acquired.sha256 === known.sha256) return acquired;
      // Somebody changed the stored body.
      await this.#cache?.forget();
      answer = await this.#download({});
    }
    const {
      etag = null,
      'last-modified': lastModified = null,
      'content-type': mediaType = '',
    } = answer.headers;
    const body = this.#path('body');
    const { signal } = this.options;
    await decodeBody(this.where, body, answer.headers['content-encoding'], maxBytesOf(this.source), signal);
    const acquired = await this.#read(body, mediaType, identityOf(etag, lastModified));
    await this.#cache?.keep({ etag, lastModified, sha256: acquired.sha256, mediaType }, body);
    return acquired;
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  /** What the address answered last, where its body is at hand. */
  async #known(): Promise<Remembered | undefined> {
    const known = await this.#cache?.read();
    if (!known || Object.keys(conditionsOf(known)).length === 0) return undefined;
    return (await this.#cache?.take(known, this.#path('remembered'))) ? known : undefined;
  }

  #download(conditions: Record<string, string>): Promise<Download> {
    const { hosts, signal } = this.options;
    return download(
      this.where,
      async (headers) => {
        const transferHeaders = { 'accept-encoding': 'gzip', ...headers };
        const question = { ...this.target, method: 'GET', transferHeaders } as const;
        return (await ask(this.where, question, { hosts, client: this.client, signal })).answer;
      },
      this.#path('body'),
      {
        conditions,
        maxBytes: maxBytesOf(this.source),
        signal,
        accept: (headers, status) => acceptHead(this.where, headers, status),
      },
    );
  }

  async #read(path: string, mediaType: string, identity: string | null): Promise<AcquiredSource> {
    const format = formatOf(this.where, this.source, this.target.url.pathname, mediaType);
    const prepared = await prepareFiles(
      this.name,
      this.source,
      [path],
      { format, partitioned: false },
      {
        scratchDir: this.options.scratchDir,
        maxBytes: maxBytesOf(this.source),
        labels: [originOf(this.source)],
        ...(this.options.signal ? { signal: this.options.signal } : {}),
      },
    );
    return { kind: 'http', ...prepared, identity, origin: originOf(this.source) };
  }
}

const conditionsOf = ({ etag, lastModified }: Remembered): Record<string, string> => ({
  ...(etag ? { 'if-none-match': etag } : {}),
  ...(lastModified ? { 'if-modified-since': lastModified } : {}),
});
