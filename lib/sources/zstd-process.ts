/**
 * The program of `zstd-child.ts`: unpacks its standard input to its standard output. It ends with 0, with
 * {@link DAMAGED}, or with {@link CUT_OFF} where the input ends too early.
 */
import { once } from 'node:events';
import { readSync } from 'node:fs';
import { ZSTDDecoder } from 'zstddec/stream';
import { CUT_OFF, DAMAGED } from './zstd-child.ts';

const CHUNK = Buffer.alloc(1 << 20);
/** No frame is shorter, so of a chunk no more than one in so many bytes gives nothing. */
const SHORTEST_FRAME = 8;

let ended = false;
/** The decoder asks for more in the middle of a call, so this cannot wait for an event. */
function* input(): Generator<Buffer> {
  for (let bytes = readInput(); bytes > 0; bytes = readInput()) yield CHUNK.subarray(0, bytes);
  ended = true;
}

function readInput(): number {
  for (;;)
    try {
      return readSync(0, CHUNK);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
}

const decoder = new ZSTDDecoder();
await decoder.init();
let nothing = 0;
try {
  for (const part of decoder.decodeStreaming(input())) {
    if (part.length > 0 && !process.stdout.write(part)) await once(process.stdout, 'drain');
    nothing = part.length === 0 ? nothing + 1 : 0;
    // The decoder says nothing of an error: it makes no progress any more.
    if (nothing > CHUNK.length / SHORTEST_FRAME) process.exit(DAMAGED);
  }
} catch {
  process.exit(ended ? CUT_OFF : DAMAGED);
}
