import { type PagingArgs, paginate } from '../http/paging.ts';
import { read, write } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { encodeSegment } from '../http/url.ts';
import { assertNotEmpty } from '../limits.ts';
import {
  type Webhook,
  type WebhookEvent,
  type WebhookStatus,
  type WebhookTestResult,
  webhookSchema,
  webhookTestResultSchema,
} from '../schemas/webhook.ts';
import { page, wrapped } from '../schemas/wire.ts';

/** Arguments of {@link Webhooks.create}. */
export interface CreateWebhookArgs {
  name: string;
  /** Receiver. The server allows `https` only and refuses private addresses unless configured otherwise. */
  url: string;
  /** At least one. */
  events: readonly WebhookEvent[];
  description?: string | undefined;
  /** Key of the HMAC signature deliveries carry. */
  secret?: string | undefined;
  /** Default `ACTIVE`. */
  status?: WebhookStatus | undefined;
}

const webhook = wrapped('webhook', webhookSchema);
const webhookPage = page('webhooks', webhookSchema);
const testResult = wrapped('result', webhookTestResultSchema);

/** Webhooks of the model registry. */
export class Webhooks {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Creates a webhook.
   *
   * @example
   * ```ts
   * await client.webhooks.create({
   *   name: 'deploy',
   *   url: 'https://ci.example.org/hooks/mlflow',
   *   events: [{ entity: 'MODEL_VERSION_ALIAS', action: 'CREATED' }],
   * });
   * ```
   */
  async create(args: CreateWebhookArgs, options?: CallOptions): Promise<Webhook> {
    assertNotEmpty('webhook name', args.name);
    const body = {
      name: args.name,
      url: args.url,
      events: args.events,
      description: args.description,
      secret: args.secret,
      status: args.status,
    };
    return this.#transport.json(
      write('POST', 'webhooks.create', 'mlflow/webhooks', body, 'unsent'),
      webhook,
      options,
    );
  }

  /** Lists webhooks, fetching page by page. */
  list(args: PagingArgs = {}, options?: CallOptions): AsyncGenerator<Webhook, void, undefined> {
    return paginate((token) => {
      const query = { max_results: args.pageSize ?? 100, page_token: token };
      return this.#transport.json(read('webhooks.list', 'mlflow/webhooks', query), webhookPage, options);
    }, args.limit);
  }

  /** Reads a webhook. */
  async get(args: { webhookId: string }, options?: CallOptions): Promise<Webhook> {
    return this.#transport.json(read('webhooks.get', path(args.webhookId)), webhook, options);
  }

  /** Changes what is given and leaves the rest. */
  async update(
    args: { webhookId: string } & { [K in keyof CreateWebhookArgs]?: CreateWebhookArgs[K] | undefined },
    options?: CallOptions,
  ): Promise<Webhook> {
    const { webhookId, ...changes } = args;
    return this.#transport.json(
      write('PATCH', 'webhooks.update', path(webhookId), changes),
      webhook,
      options,
    );
  }

  /** Deletes a webhook. */
  async delete(args: { webhookId: string }, options?: CallOptions): Promise<void> {
    return this.#transport.command(write('DELETE', 'webhooks.delete', path(args.webhookId), {}), options);
  }

  /**
   * Has the server send a sample delivery.
   *
   * @param args `event` defaults to the webhook's first.
   * @returns how the receiver answered; a failed delivery is a result, not an error.
   */
  async test(
    args: { webhookId: string; event?: WebhookEvent | undefined },
    options?: CallOptions,
  ): Promise<WebhookTestResult> {
    const spec = write(
      'POST',
      'webhooks.test',
      `${path(args.webhookId)}/test`,
      { event: args.event },
      'unsent',
    );
    return this.#transport.json(spec, testResult, options);
  }
}

function path(webhookId: string): string {
  return `mlflow/webhooks/${encodeSegment(webhookId)}`;
}
