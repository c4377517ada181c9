import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Context, type Info } from '@temporalio/activity';
import type { PerennialConfig } from '../lib/config.ts';
import { ownScratch } from '../lib/scratch.ts';
import { logFields, toFailure } from './failure.ts';

/** What a running activity has at hand. */
export interface ActivityFrame {
  /** 1 for the first. */
  attempt: number;
  /** Aborted on cancellation, time-out, and worker shutdown. */
  signal: AbortSignal;
  /** Details that the next heartbeat carries; the next attempt finds them. */
  report(details: unknown): void;
  /** Tells the worker's log of an error that the activity goes on after. */
  warn(message: string, error: unknown): void;
  /** Memory of each DuckDB of this activity; see the configuration. */
  duckdbMemory: string | undefined;
  /** Makes a folder for this attempt alone; it is deleted however the activity ends. */
  scratch(): Promise<string>;
}

const HEARTBEAT_MS = 2_000;

/**
 * Wraps the work of an activity: heartbeats from the first moment on, a scratch folder that is always deleted,
 * and errors as failures with a code.
 */
export function framed<I, O>(
  config: PerennialConfig,
  work: (input: I, frame: ActivityFrame) => Promise<O>,
): (input: I) => Promise<O> {
  return async (input) => {
    // Held, not looked for: what a process or a connection says comes in the context of whoever opened it.
    const context = Context.current();
    const { info, log, cancellationSignal: signal } = context;
    let details: unknown = info.heartbeatDetails;
    let scratch: string | undefined;
    context.heartbeat(details);
    const timer = setInterval(() => context.heartbeat(details), HEARTBEAT_MS);
    try {
      return await work(input, {
        attempt: info.attempt,
        warn: (message, error) => log.warn(message, logFields(error)),
        signal,
        duckdbMemory: config.duckdbMemory,
        report: (value) => {
          details = value;
          context.heartbeat(value);
        },
        scratch: async () => {
          scratch ??= join(await ownScratch(config.dataDir), attemptName(info));
          await mkdir(scratch, { recursive: true, mode: 0o700 });
          return scratch;
        },
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason ?? error;
      log.error('activity failed', logFields(error));
      throw toFailure(error);
    } finally {
      clearInterval(timer);
      if (scratch) await rm(scratch, { recursive: true, force: true });
    }
  };
}

/** No two attempts of this process have the same. */
function attemptName(info: Info): string {
  const owner = createHash('sha256')
    .update(`${info.workflowExecution?.workflowId}/${info.workflowExecution?.runId}`)
    .digest('hex')
    .slice(0, 12);
  return `${owner}-${info.activityId}-${info.attempt}`;
}
