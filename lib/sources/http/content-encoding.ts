import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { PerennialError } from '../../../contracts/errors.ts';
import { tooLarge, unreadable } from '../source-errors.ts';

/**
 * Takes the encoding of the transfer off a body, in place.
 *
 * @param encoding the header `Content-Encoding`
 * @param maxBytes limit of the decoded body
 * @throws PerennialError `SourceUnreadable`
 */
export async function decodeBody(
  where: string,
  path: string,
  encoding: string | undefined,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const word = (encoding ?? 'identity').trim().toLowerCase();
  if (word === 'identity' || word === '') return;
  const decoder = decoderOf(word);
  if (!decoder)
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: the server sent it as ${word.slice(0, 40)}, asked for gzip`,
    );
  const decoded = `${path}.decoded`;
  let bytes = 0;
  async function* capped(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw tooLarge(`${where}, unpacked`, maxBytes);
      yield chunk;
    }
  }
  try {
    const sink = createWriteStream(decoded, { mode: 0o600 });
    await pipeline(createReadStream(path), decoder, capped, sink, signal ? { signal } : {});
    await rename(decoded, path);
  } catch (error) {
    await rm(decoded, { force: true });
    if (error instanceof PerennialError || signal?.aborted) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (/^(Z|ERR_BROTLI|ERR__ERROR)_/.test(code))
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: its content encoding ${word} is damaged or cut off`,
      );
    throw unreadable(where, error);
  }
}

function decoderOf(word: string): NodeJS.ReadWriteStream | undefined {
  if (word === 'gzip' || word === 'x-gzip') return createGunzip();
  if (word === 'deflate') return createInflate();
  return word === 'br' ? createBrotliDecompress() : undefined;
}
