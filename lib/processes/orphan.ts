import { Worker } from 'node:worker_threads';

const EVERY_MS = 500;

/**
 * Ends this process when its parent is gone. Where the pipe closes, Node does so itself; but a process whose event
 * loop hangs does not see that, and would keep its port or its memory. A thread of its own sees it.
 */
export function watchParent(): void {
  // Plain JavaScript, as a loader of other languages does not reach a thread.
  const source = `setInterval(() => { if (process.ppid !== ${process.ppid}) process.kill(process.pid, 'SIGKILL'); }, ${EVERY_MS});`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  new Worker(url, { execArgv: [], stdin: false, resourceLimits: { maxOldGenerationSizeMb: 16 } }).unref();
}
