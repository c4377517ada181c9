import { isMainThread, Worker } from 'node:worker_threads';

const POLL_MS = 1_000;

/**
 * Ends this process when its parent is gone. Where the pipe closes, Node does so itself; but a process whose event
 * loop hangs does not see that, and would keep the port from the server's next start. A thread of its own sees it.
 */
export function watchParent(): void {
  new Worker(new URL(import.meta.url), { execArgv: process.execArgv }).unref();
}

if (!isMainThread) {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
  }, POLL_MS);
}
