import { createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Keyring } from './keyring.ts';
import { hashed, keyIdOf, SEALED, seal, unseal } from './sealed-format.ts';

/** Digest and size of a plaintext. */
export interface Plaintext {
  sha256: string;
  bytes: number;
}

/**
 * Encrypts a file into a new one (mode 0600) with the keyring's current key; a few MiB of memory, whatever its size.
 *
 * @returns digest and size of what was encrypted
 */
export async function sealFile(source: string, target: string, keyring: Keyring): Promise<Plaintext> {
  const key = await keyring.current();
  const file = await open(source, 'r');
  try {
    const plain = hashed(chunksOf(file, SEALED.chunk));
    await pipeline(seal(plain.pieces, key), newFile(target));
    return plain.done();
  } finally {
    await file.close();
  }
}

/** Encrypts bytes into a new file. */
export async function sealBytes(bytes: Uint8Array, target: string, keyring: Keyring): Promise<void> {
  await pipeline(
    seal(slices(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)), await keyring.current()),
    newFile(target),
  );
}

/**
 * Decrypts a file into a new one (mode 0600).
 *
 * @returns digest and size of the plaintext, for comparison with its name
 * @throws PerennialError `ArtifactCorrupt`, `KeyringInvalid`; the target may be half written then
 */
export async function unsealFile(source: string, target: string, keyring: Keyring): Promise<Plaintext> {
  return withPlain(source, keyring, async (plain) => {
    await pipeline(plain, newFile(target));
  });
}

/** Decrypts a file into memory. */
export async function unsealBytes(
  source: string,
  keyring: Keyring,
): Promise<Plaintext & { content: Buffer }> {
  const parts: Buffer[] = [];
  const plaintext = await withPlain(source, keyring, async (plain) => {
    for await (const part of plain) parts.push(part);
  });
  return { ...plaintext, content: Buffer.concat(parts) };
}

async function withPlain(
  source: string,
  keyring: Keyring,
  consume: (plain: AsyncGenerator<Buffer>) => Promise<void>,
): Promise<Plaintext> {
  const file = await open(source, 'r');
  try {
    const header = await read(file, SEALED.header, 0);
    const key = await keyring.key(keyIdOf(header));
    const plain = hashed(unseal(header, chunksOf(file, SEALED.chunk + SEALED.tag, SEALED.header), key));
    await consume(plain.pieces);
    return plain.done();
  } finally {
    await file.close();
  }
}

const newFile = (path: string) => createWriteStream(path, { flags: 'wx', mode: 0o600 });

function* slices(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += SEALED.chunk) yield bytes.subarray(at, at + SEALED.chunk);
}

/** The file in chunks of exactly `size` bytes, but for the last one. */
async function* chunksOf(file: FileHandle, size: number, from = 0): AsyncGenerator<Buffer> {
  for (let at = from; ; at += size) {
    const chunk = await read(file, size, at);
    if (chunk.length > 0) yield chunk;
    if (chunk.length < size) return;
  }
}

/** `size` bytes, fewer only at the end: a single read may give less. */
async function read(file: FileHandle, size: number, at: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(buffer, filled, size - filled, at + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}
