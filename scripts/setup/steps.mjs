// Progress on the terminal, and child processes that report through it.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The folder of the checkout. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What is wrong and what to do about it, in words for the person who runs the set-up. */
export class SetupError extends Error {}

/** Numbers the steps, measures them, and shows the last line of what they do. */
export class Steps {
  #total;
  #number = 0;
  #begin = performance.now();
  #terminal = process.stdout.isTTY === true;

  constructor(total) {
    this.#total = total;
  }

  /**
   * Runs one step. `work` gets `progress(text)` and returns what it did, in a few words, or any other value.
   */
  async run(title, work) {
    this.#number += 1;
    const head = `[${this.#number}/${this.#total}] ${title}`;
    const begin = performance.now();
    const seconds = () => `${((performance.now() - begin) / 1_000).toFixed(1)} s`;
    let last = '';
    const show = () => {
      if (this.#terminal)
        process.stdout.write(
          `\r\x1b[2K${head} … ${seconds()} ${last}`.slice(0, process.stdout.columns ?? 100),
        );
    };
    // Without a terminal, a line every half minute shows that a long step is alive.
    const timer = setInterval(
      () => (this.#terminal ? show() : console.log(`${head} … ${seconds()} ${last}`)),
      this.#terminal ? 200 : 30_000,
    );
    try {
      show();
      const result = await work((text) => {
        last = text.trim().slice(0, 90);
      });
      this.#clear();
      const what = typeof result === 'string' ? result : (result?.summary ?? '');
      console.log(`${head}: ${what} (${seconds()})`);
      return result;
    } catch (error) {
      this.#clear();
      console.log(`${head}: failed after ${seconds()}`);
      throw error;
    } finally {
      clearInterval(timer);
    }
  }

  say(message) {
    this.#clear();
    console.log(message);
  }

  done() {
    console.log(
      `Set up in ${((performance.now() - this.#begin) / 1_000).toFixed(1)} s. Next: npm run perennial -- up`,
    );
  }

  #clear() {
    if (this.#terminal) process.stdout.write('\r\x1b[2K');
  }
}

/**
 * Runs a program without a shell.
 *
 * @returns `{ code, output, tail }`: exit code (`null` where it was killed or not found), standard output, and the
 *   last lines of everything it wrote
 */
export function execute(command, args, { progress, timeoutMs, env, cwd = ROOT } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(timeoutMs === undefined ? {} : { timeout: timeoutMs, killSignal: 'SIGKILL' }),
    });
    let output = '';
    let all = '';
    const take = (text) => {
      all = (all + text).slice(-20_000);
      const line = text.trimEnd().split('\n').at(-1);
      if (line) progress?.(line);
    };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      take(text);
    });
    child.stderr.setEncoding('utf8').on('data', take);
    const settle = (code) =>
      resolve({ code, output: output.trim(), tail: all.trim().split('\n').slice(-60).join('\n') });
    child.once('error', (error) => {
      all += `${error.message}\n`;
      settle(null);
    });
    child.once('close', settle);
  });
}
