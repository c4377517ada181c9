import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import type { PayloadCodec } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import { expect, inject, it } from 'vitest';
import { executeUpdate } from '../../client/execute-update.ts';
import { quietRuntime } from '../support/workflow-bench.ts';

/** Runs `work` before the first task with an outcome is told to the server, so that the server knows more than it. */
function meanwhile(work: () => Promise<void>): PayloadCodec {
  let done = false;
  return {
    async encode(payloads) {
      if (!done && payloads.length > 0) {
        done = true;
        await work();
      }
      return payloads;
    },
    decode: async (payloads) => payloads,
  };
}

it('sends an update again that the server dropped with the task in which the workflow ended', async () => {
  quietRuntime();
  const { address } = inject('temporal');
  const [connection, native] = await Promise.all([
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const id = `closing-${randomUUID()}`;
  const handle = new Client({ connection }).workflow.getHandle(id);
  const worker = await Worker.create({
    connection: native,
    taskQueue: id,
    workflowsPath: fileURLToPath(new URL('../support/closing-workflow.ts', import.meta.url)),
    dataConverter: { payloadCodecs: [meanwhile(() => handle.signal('unheard of'))] },
  });
  try {
    await worker.runUntil(async () => {
      await new Client({ connection }).workflow.start('closing', { workflowId: id, taskQueue: id });
      await expect(executeUpdate<string>(handle, 'ask')).resolves.toBe('asked 1 times');
      await expect(handle.result()).resolves.toBe('closed');
    });
    const { events } = await handle.fetchHistory();
    const causes = (events ?? []).map((event) => event.workflowTaskFailedEventAttributes?.cause);
    expect(causes.filter((cause) => cause !== undefined && cause !== null)).toHaveLength(1);
  } finally {
    await Promise.all([connection.close(), native.close()]);
  }
}, 60_000);
