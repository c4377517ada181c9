import { z } from 'zod';
import { MlflowError } from '../errors.ts';
import { type Auth, authHeaders } from './auth.ts';
import { encodeBody, type RequestBody, readBody, readText } from './body.ts';
import { Deadline, sleep } from './deadline.ts';
import { abortedError, type CallSite, type Failure, statusError, transportFailure } from './failures.ts';
import { delayMs, mayRepeat, type RepeatRule, type RetryPolicy } from './retry.ts';
import { buildUrl, type Query, redactUrl } from './url.ts';

/** Options every method takes. */
export interface CallOptions {
  /** Ends the call, waits between attempts included. */
  signal?: AbortSignal | undefined;
  /** Milliseconds without any progress after which an attempt fails. Default: the client's. */
  timeoutMs?: number | undefined;
}

/** One request, before any attempt is made. */
export interface RequestSpec {
  /** Shown in errors, for example `runs.get`. */
  readonly operation: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path below the tracking URI, or an absolute URL that gets no credentials of ours. */
  readonly target: { readonly path: string } | { readonly externalUrl: string };
  readonly query?: Query;
  readonly headers?: Record<string, string>;
  readonly body?: RequestBody;
  readonly repeat: RepeatRule;
  /** Leaves the workspace header out (workspace administration names it in the path). */
  readonly withoutWorkspace?: boolean;
}

/** What the transport needs to know once. */
export interface TransportConfig {
  readonly base: string;
  readonly auth: Auth | undefined;
  readonly workspace: string | undefined;
  readonly fetch: typeof fetch;
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly userAgent: string;
}

/** A successful answer whose body is still to be read. */
export interface StreamedAnswer {
  readonly headers: Headers;
  readonly status: number;
  readonly chunks: AsyncGenerator<Uint8Array>;
}

type Outcome<T> = { readonly value: T } | Failure;

/** Sends requests, repeats them where that is safe, and types whatever goes wrong. */
export class Transport {
  readonly config: TransportConfig;

  constructor(config: TransportConfig) {
    this.config = config;
  }

  /** Sends `spec` and checks the JSON answer against `schema`. */
  json<T>(spec: RequestSpec, schema: z.ZodType<T>, options: CallOptions = {}): Promise<T> {
    return this.consume(spec, options, async (answer, site) => {
      const text = await readText(answer.chunks);
      return parseAnswer(text, schema, site);
    });
  }

  /** Sends `spec` where only success or failure matters. */
  command(spec: RequestSpec, options: CallOptions = {}): Promise<void> {
    const read = async (answer: StreamedAnswer): Promise<void> => {
      await readText(answer.chunks);
    };
    return this.consume(spec, options, read, () => undefined);
  }

  /** Sends `spec` and reads the answer as text. */
  text(spec: RequestSpec, options: CallOptions = {}): Promise<string> {
    return this.consume(spec, options, (answer) => readText(answer.chunks));
  }

  /** Sends `spec` and hands the unread body over; what happens while reading is not repeated. */
  open(spec: RequestSpec, options: CallOptions = {}): Promise<StreamedAnswer> {
    return this.consume(spec, options, async (answer) => answer);
  }

  /**
   * Sends `spec` and gives the answer to `read`; a transport failure while reading
   * counts as a failed attempt. Errors of `read` itself pass through untouched.
   *
   * @param whenGone result when a repeated delete finds nothing left to delete.
   */
  async consume<T>(
    spec: RequestSpec,
    options: CallOptions,
    read: (answer: StreamedAnswer, site: CallSite) => Promise<T>,
    whenGone?: () => T,
  ): Promise<T> {
    const url = this.#url(spec);
    const timeoutMs = options.timeoutMs ?? this.config.timeoutMs;
    const where = `${spec.method} ${redactUrl(url)}`;
    const site: CallSite = { operation: spec.operation, where, signal: options.signal, timeoutMs };
    let mayHaveHappened = false;
    for (let attempt = 1; ; attempt += 1) {
      if (options.signal?.aborted === true) throw abortedError(site);
      const outcome = await this.#attempt(spec, url, site, read);
      if ('value' in outcome) return outcome.value;
      const { error, unsent } = outcome;
      if (mayHaveHappened && spec.repeat === 'delete' && error.isNotFound && whenGone) return whenGone();
      mayHaveHappened ||= !unsent && error.status !== 429;
      if (attempt >= this.config.retry.maxAttempts || !mayRepeat(spec.repeat, error, unsent)) throw error;
      const wait = delayMs(this.config.retry, attempt, error.retryAfterMs);
      await sleep(wait, options.signal).catch(() => {
        throw abortedError(site);
      });
    }
  }

  async #attempt<T>(
    spec: RequestSpec,
    url: string,
    site: CallSite,
    read: (answer: StreamedAnswer, site: CallSite) => Promise<T>,
  ): Promise<Outcome<T>> {
    const headers = await this.#headers(spec);
    const deadline = new Deadline(site.timeoutMs, site.signal);
    const sent = await this.#fetch(spec, url, headers, deadline, site);
    if ('error' in sent) return sent;
    const { response } = sent;
    const chunks = readBody(response, deadline, (thrown) => transportFailure(thrown, site, deadline).error);
    try {
      if (!response.ok) {
        return { error: statusError(response, await readText(chunks), site), unsent: false };
      }
      return { value: await read({ headers: response.headers, status: response.status, chunks }, site) };
    } catch (thrown) {
      deadline.end();
      if (thrown instanceof MlflowError) return { error: thrown, unsent: false };
      throw thrown;
    }
  }

  async #fetch(
    spec: RequestSpec,
    url: string,
    headers: Record<string, string>,
    deadline: Deadline,
    site: CallSite,
  ): Promise<{ readonly response: Response } | Failure> {
    const body = encodeBody(spec.body, deadline);
    // A Headers object, because a store's "Content-Type" and ours are the same header.
    const all = new Headers({ ...body.headers, ...headers });
    for (const [name, value] of Object.entries(spec.headers ?? {})) all.set(name, value);
    try {
      const response = await this.config.fetch(url, {
        method: spec.method,
        headers: all,
        signal: deadline.signal,
        // A followed redirect turns POST into GET and may carry headers to another host.
        redirect: 'externalUrl' in spec.target ? 'follow' : 'manual',
        ...body.init,
      });
      deadline.pause();
      return { response };
    } catch (thrown) {
      deadline.end();
      return transportFailure(thrown, site, deadline);
    }
  }

  #url(spec: RequestSpec): string {
    if ('externalUrl' in spec.target) return spec.target.externalUrl;
    return buildUrl(this.config.base, spec.target.path, spec.query);
  }

  async #headers(spec: RequestSpec): Promise<Record<string, string>> {
    if ('externalUrl' in spec.target) return {};
    const headers: Record<string, string> = { 'user-agent': this.config.userAgent };
    if (this.config.workspace !== undefined && spec.withoutWorkspace !== true) {
      headers['x-mlflow-workspace'] = this.config.workspace;
    }
    return { ...headers, ...(await authHeaders(this.config.auth)) };
  }
}

/** Parses and checks a JSON answer; MLflow sends an empty body where there is nothing to say. */
function parseAnswer<T>(text: string, schema: z.ZodType<T>, site: CallSite): T {
  let value: unknown;
  try {
    value = text.trim() === '' ? {} : JSON.parse(text);
  } catch (cause) {
    const message = `MLflow ${site.operation} answered something that is not JSON (${site.where}); is trackingUri an MLflow server?`;
    throw new MlflowError({ code: 'invalid-response', message, cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = z.prettifyError(parsed.error).replace(/\s*\n\s*/g, ' ');
  throw new MlflowError({
    code: 'invalid-response',
    message: `MLflow ${site.operation} answered in an unexpected shape (${site.where}): ${issues}`,
    cause: parsed.error,
  });
}
