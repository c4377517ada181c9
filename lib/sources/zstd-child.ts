import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { PerennialError } from '../../contracts/errors.ts';
import { ownScript } from '../processes/own-script.ts';
import { cutOff, damaged } from './source-errors.ts';

/** How the program `zstd-process.ts` ends where it could not unpack. */
export const DAMAGED = 3;
export const CUT_OFF = 4;

/**
 * Unpacks Zstandard by its own library in WebAssembly, in a child process: it works synchronously, and keeps the
 * memory of what was given up. Node's own, where it has one, takes data that were cut off for whole ones, and knows
 * no more than one frame (22.23).
 *
 * @param where for messages
 * @throws PerennialError `SourceUnreadable` where the data are damaged or cut off
 * @example await pipeline(source, unpackZstd('source flights'), sink);
 */
export const unpackZstd = (where: string) =>
  async function* unpack(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    const { path, execArgv } = ownScript(import.meta.url, './zstd-process.ts');
    const child = spawn(process.execPath, [...execArgv, path], {
      stdio: ['pipe', 'pipe', 'ignore'],
      env: {},
    });
    const end = once(child, 'close').then(([code]) => Number(code ?? Number.NaN));
    // Where it could not be started, that is told below.
    end.catch(() => undefined);
    const feeding = pipeline(chunks, child.stdin).then(
      () => undefined,
      (error: unknown) => error,
    );
    try {
      yield* child.stdout;
      const code = await end.catch(() => Number.NaN);
      if (code === DAMAGED) throw damaged(where, 'zstd');
      const broken = await feeding;
      if (broken !== undefined) throw broken;
      if (code === CUT_OFF) throw cutOff(where, 'zstd');
      if (code !== 0)
        throw new PerennialError(
          'SourceUnreadable',
          `${where}: the process that unpacks it could not be started, or was ended (out of memory?)`,
          true,
        );
    } finally {
      child.kill('SIGKILL');
      await end.catch(() => undefined);
    }
  };
