import { AsyncResource } from 'node:async_hooks';
import { EventEmitter } from 'node:events';
import { asyncLocalStorage, Context } from '@temporalio/activity';
import { expect, it } from 'vitest';
import { type ActivityFrame, framed } from '../../activities/frame.ts';
import { configFromEnv } from '../../lib/config.ts';

/** An activity of a worker that runs several: what it tells Temporal, and when it ends. */
function activity(work: (frame: ActivityFrame) => Promise<void>): { told: unknown[]; ended: Promise<void> } {
  const told: unknown[] = [];
  const run = framed(configFromEnv({ PERENNIAL_DATA_DIR: '/nowhere' }), (_: null, frame) => work(frame));
  const context: Context = Object.assign(Object.create(Context.prototype), {
    info: { attempt: 1, heartbeatDetails: undefined },
    cancellationSignal: new AbortController().signal,
    heartbeat: (details: unknown) => told.push(details),
  });
  return { told, ended: asyncLocalStorage.run(context, () => run(null)) };
}

it('what a process says that another activity began is told as this one’s own', async () => {
  const process = new EventEmitter();
  let said = (): void => undefined;
  const first = activity(async () => {
    // A process says what it says in the context of whoever started it.
    said = AsyncResource.bind(() => void process.emit('message'));
  });
  await first.ended;
  const second = activity(async (frame) => {
    process.once('message', () => frame.report('half'));
    said();
  });
  await second.ended;
  expect(first.told).toEqual([undefined]);
  expect(second.told).toEqual([undefined, 'half']);
});
