import cluster, { type Worker } from 'node:cluster';
import { type OwnScript, ownScript, scriptAt } from '../../lib/processes/own-script.ts';

/** A serving process, and what it said before anybody listened. */
export interface ServingFork {
  readonly worker: Worker;
  readonly said: readonly unknown[];
}

let ahead: (ServingFork & { readonly stop: () => void }) | undefined;

/**
 * Starts a process before anybody knows what it is to serve: it loads its program while this one still does. The next
 * {@link forkServing} is given it. It ends with this process.
 */
export function forkAhead(): void {
  if (ahead) return;
  const worker = fork(ownEntry());
  const said: unknown[] = [];
  const listen = (message: unknown): void => void said.push(message);
  worker.on('message', listen);
  ahead = { worker, said, stop: () => worker.off('message', listen) };
}

/**
 * Starts a process. It shares the listening sockets of its siblings, each of which accepts by itself: one that hangs
 * keeps no connection from the others, and a busy supervisor none at all.
 *
 * @param entry the program; default the package's own
 */
export function forkServing(entry?: string): ServingFork {
  const waiting = entry === undefined ? ahead : undefined;
  if (waiting) {
    ahead = undefined;
    waiting.stop();
    if (!waiting.worker.isDead()) return waiting;
  }
  return { worker: fork(entry === undefined ? ownEntry() : scriptAt(entry)), said: [] };
}

function fork({ path, execArgv }: OwnScript): Worker {
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  cluster.setupPrimary({ exec: path, args: [], execArgv });
  return cluster.fork();
}

const ownEntry = (): OwnScript => ownScript(import.meta.url, './serving-process.ts');
