import { z } from 'zod';
import { type Appended, appended, type EventBatch, eventBatch } from '../../contracts/events.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import type { EventSink } from '../http/event-routes.ts';
import type { Channel } from './channel.ts';

/** Where pushed rows are told of: the supervisor alone is connected to Temporal. */
export interface EventRelay extends Pick<EventSink, 'append' | 'send'> {
  /** @throws PerennialError `ServerUnavailable` where nobody could be told: nothing is stored then */
  check(): void;
}

const told = z.strictObject({ log: z.string(), batch: eventBatch });

/** Megabytes of the databases that read pushed rows, in all processes together; each needs some. */
const MEMORY = { all: 512, each: 128 };

/** The supervisor's side. */
export function answerEvents(channel: Channel, relay: EventRelay): void {
  const parsed = (payload: unknown): [string, EventBatch] => {
    const { log, batch } = told.parse(payload);
    return [log, batch];
  };
  channel
    .handle('events.check', () => relay.check())
    .handle('events.append', (payload) => relay.append(...parsed(payload)))
    .handle('events.send', (payload) => relay.send(...parsed(payload)));
}

/** The serving process's side: rows are stored here, and a reference to them goes to the supervisor. */
export function relayedEvents(
  channel: Channel,
  store: ArtifactStore,
  { dataDir, processes }: { dataDir: string; processes: number },
): EventSink {
  const memoryLimit = `${Math.max(MEMORY.each, Math.floor(MEMORY.all / processes))}MB`;
  return {
    store: async (rows, format, batchId) => {
      await channel.ask('events.check');
      // The database is loaded only where rows come.
      const { storeRows } = await import('../../lib/events/intake.ts');
      return storeRows(rows, format, { store, dataDir, batchId, memoryLimit });
    },
    append: async (log, batch): Promise<Appended> =>
      appended.parse(await channel.ask('events.append', { log, batch })),
    send: async (log, batch) => {
      await channel.ask('events.send', { log, batch });
    },
  };
}
