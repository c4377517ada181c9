import { createServer, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect } from '../../src/index.ts';
import { testClient, unique } from '../support/recording.ts';

const client = testClient();
const events = [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }] as const;
let receiver: Server;
let url = '';
let deliveries = 0;

beforeAll(async () => {
  receiver = createServer((request, response) => {
    request.resume();
    deliveries += 1;
    response.writeHead(202).end('thanks');
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const address = receiver.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  url = `http://127.0.0.1:${address.port}/hook`;
});

afterAll(() => {
  receiver.close();
  receiver.closeAllConnections();
});

describe('webhooks', () => {
  it('creates a webhook', async () => {
    const name = unique('hook');
    const webhook = await client.webhooks.create({
      name,
      url,
      events,
      description: 'd',
      secret: 's3cret',
      status: 'DISABLED',
    });
    expect(webhook).toMatchObject({ name, url, events, description: 'd', status: 'DISABLED' });
    expect(JSON.stringify(webhook)).not.toContain('s3cret');
    await client.webhooks.delete({ webhookId: webhook.webhookId });
  });

  it('reads a webhook', async () => {
    const { webhookId } = await client.webhooks.create({
      name: unique('hook'),
      url,
      events,
      status: 'DISABLED',
    });
    expect(await client.webhooks.get({ webhookId })).toMatchObject({ webhookId, url });
    await client.webhooks.delete({ webhookId });
  });

  it('lists webhooks page by page', async () => {
    const created: string[] = [];
    for (let i = 0; i < 3; i += 1) {
      created.push(
        (await client.webhooks.create({ name: unique('hook'), url, events, status: 'DISABLED' })).webhookId,
      );
    }
    const listed = (await collect(client.webhooks.list({ pageSize: 1 }))).map((webhook) => webhook.webhookId);
    expect(listed).toEqual(expect.arrayContaining(created));
    for (const webhookId of created) await client.webhooks.delete({ webhookId });
  });

  it('updates a webhook, leaving the rest', async () => {
    const { webhookId } = await client.webhooks.create({
      name: unique('hook'),
      url,
      events,
      status: 'DISABLED',
    });
    const name = unique('renamed');
    const updated = await client.webhooks.update({ webhookId, name });
    expect(updated).toMatchObject({ name, url, events, status: 'DISABLED' });
    await client.webhooks.delete({ webhookId });
  });

  it('deletes a webhook', async () => {
    const { webhookId } = await client.webhooks.create({
      name: unique('hook'),
      url,
      events,
      status: 'DISABLED',
    });
    await client.webhooks.delete({ webhookId });
    await expect(client.webhooks.get({ webhookId })).rejects.toMatchObject({ isNotFound: true });
  });

  it('sends a test delivery', async () => {
    const { webhookId } = await client.webhooks.create({
      name: unique('hook'),
      url,
      events,
      status: 'DISABLED',
    });
    const before = deliveries;
    const result = await client.webhooks.test({ webhookId, event: events[0] });
    expect(result).toEqual({
      success: true,
      responseStatus: 202,
      responseBody: 'thanks',
      errorMessage: undefined,
    });
    expect(deliveries).toBe(before + 1);
    await client.webhooks.delete({ webhookId });
  });
});
