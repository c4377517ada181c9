import { Worker } from 'node:worker_threads';

/** Plain JavaScript, as a loader of other languages does not reach a thread. */
const PROGRAM = `
const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
}, 1000);
`;

/**
 * Ends this process when its parent is gone. Where the pipe closes, Node does so itself; but a process whose event
 * loop hangs does not see that, and would keep the port from the server's next start. A thread of its own sees it.
 */
export function watchParent(): void {
  new Worker(PROGRAM, { eval: true, execArgv: [] }).unref();
}
