import { z } from 'zod';
import { int64, text } from './wire.ts';

/** Entity a webhook watches. */
export type WebhookEntity =
  | 'REGISTERED_MODEL'
  | 'MODEL_VERSION'
  | 'MODEL_VERSION_TAG'
  | 'MODEL_VERSION_ALIAS'
  | 'PROMPT'
  | 'PROMPT_VERSION'
  | 'PROMPT_TAG'
  | 'PROMPT_VERSION_TAG'
  | 'PROMPT_ALIAS'
  | 'BUDGET_POLICY';

/** What happened to the entity. Not every pair exists; the server refuses those that do not. */
export type WebhookAction = 'CREATED' | 'UPDATED' | 'DELETED' | 'SET' | 'EXCEEDED';

/** Whether deliveries are made. */
export type WebhookStatus = 'ACTIVE' | 'DISABLED';

/** An event a webhook is told of. */
export interface WebhookEvent {
  /** Entities this client does not know yet arrive as text. */
  readonly entity: WebhookEntity | (string & {});
  readonly action: WebhookAction | (string & {});
}

/** A webhook. Its secret is never sent back. */
export interface Webhook {
  readonly webhookId: string;
  readonly name: string;
  readonly description: string | undefined;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly status: WebhookStatus;
  /** Epoch milliseconds. */
  readonly creationTimestamp: number | undefined;
  /** Epoch milliseconds. */
  readonly lastUpdatedTimestamp: number | undefined;
}

/** Outcome of a test delivery. */
export interface WebhookTestResult {
  readonly success: boolean;
  /** HTTP status the receiver answered. */
  readonly responseStatus: number | undefined;
  readonly responseBody: string | undefined;
  /** Why it failed, when it did. */
  readonly errorMessage: string | undefined;
}

export const webhookSchema = z
  .object({
    webhook_id: z.string(),
    name: z.string(),
    description: text,
    url: z.string(),
    events: z.array(z.object({ entity: z.string(), action: z.string() })).default([]),
    status: z.enum(['ACTIVE', 'DISABLED']).default('ACTIVE'),
    creation_timestamp: int64.optional(),
    last_updated_timestamp: int64.optional(),
  })
  .transform(
    (wire): Webhook => ({
      webhookId: wire.webhook_id,
      name: wire.name,
      description: wire.description,
      url: wire.url,
      events: wire.events,
      status: wire.status,
      creationTimestamp: wire.creation_timestamp,
      lastUpdatedTimestamp: wire.last_updated_timestamp,
    }),
  );

export const webhookTestResultSchema = z
  .object({
    success: z.boolean().default(false),
    response_status: int64.optional(),
    response_body: text,
    error_message: text,
  })
  .transform(
    (wire): WebhookTestResult => ({
      success: wire.success,
      responseStatus: wire.response_status,
      responseBody: wire.response_body,
      errorMessage: wire.error_message,
    }),
  );
