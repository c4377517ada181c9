import type { IncomingMessage } from 'node:http';
import { PerennialError } from '../../../contracts/errors.ts';
import { AddressDenied } from '../addresses.ts';
import { type HostRules, hostPortOf, privateAddress } from '../hosts.ts';
import { causeOf, certificateRefused, networkWords, unavailable } from '../source-errors.ts';
import type { HttpClient } from './client.ts';

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** What is asked. */
export interface Question {
  method: 'GET' | 'HEAD';
  url: URL;
  /** Headers of the source, which may hold secrets: for the origin of `url` only. */
  headers: Readonly<Record<string, string>>;
  /** Headers of the transfer, sent wherever it leads. */
  transferHeaders: Readonly<Record<string, string>>;
}

/**
 * Asks an address and follows its redirects by hand, each checked like the first.
 *
 * @throws PerennialError `SourceDenied`, `SourceUnavailable` where the network fails
 */
export async function ask(
  where: string,
  question: Question,
  { hosts, client, signal }: { hosts: HostRules; client: HttpClient; signal?: AbortSignal | undefined },
): Promise<{ answer: IncomingMessage; url: URL }> {
  let { url, headers } = question;
  for (let hop = 0; ; hop++) {
    hosts.check(where, hostPortOf(url));
    const all = { 'user-agent': 'perennial', ...headers, ...question.transferHeaders };
    const answer = await client.request(question.method, url, all).catch((error: unknown) => {
      if (signal?.aborted) throw signal.reason;
      throw networkError(where, url, error);
    });
    const { location } = answer.headers;
    if (!REDIRECTS.has(answer.statusCode ?? 0) || location === undefined) return { answer, url };
    answer.destroy();
    if (hop === MAX_REDIRECTS)
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: more than ${MAX_REDIRECTS} redirects; name the address that they lead to`,
      );
    const next = targetOf(where, location, url);
    if (next.origin !== url.origin) headers = {};
    url = next;
  }
}

function targetOf(where: string, location: string, from: URL): URL {
  const next = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (!next || (next.protocol !== 'https:' && next.protocol !== 'http:'))
    throw new PerennialError('SourceDenied', `${where}: it redirects to something that is no web address`);
  if (from.protocol === 'https:' && next.protocol === 'http:')
    throw new PerennialError(
      'SourceDenied',
      `${where}: it redirects from https to http, where anybody may read along; name an https address`,
    );
  next.username = '';
  next.password = '';
  return next;
}

function networkError(where: string, url: URL, error: unknown): unknown {
  if (causeOf(error, AddressDenied)) return privateAddress(where, hostPortOf(url));
  const refused = certificateRefused(where, url.host, error);
  if (refused) return refused;
  const words = networkWords(error);
  return words === undefined ? error : unavailable(where, `${url.host}: ${words}`);
}
