import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { PerennialError } from '../../contracts/errors.ts';
import type { Keyring } from '../store/keyring.ts';
import type { BlobKey } from '../store/sealed-format.ts';

/*
 * How a segment file is built. Where there is a keyring, blocks are encrypted by AES-256-GCM under a key of the segment's
 * own (HKDF-SHA256 of a key of the keyring and the salt).
 *
 *   header, 64 bytes:  "PRNPLOG" | version 1 | key id, 24 bytes, zero-padded; zeros: not encrypted | salt, 32 bytes
 *   blocks:            length of the payload 4 | CRC-32 of the payload 4 | number of the block 4 | 0, 4 | payload
 *   payload:           frames (frames.ts), or their ciphertext and the tag, 16 bytes
 *   nonce:             zeros, 8 bytes | number of the block, 4 bytes
 *   associated data:   the header of the file
 *
 * A block that is not whole, with what comes after it, was being written when the process or the machine went down.
 */

const MAGIC = Buffer.from('PRNPLOG\x01', 'latin1');
const KEY_ID = 24;
export const SEGMENT_HEADER = 64;
const BLOCK_HEADER = 16;
const TAG = 16;
const INFO = 'perennial prediction segment 1';
/** No block is larger than the memory of a spool; a length beyond that was never written. */
const MAX_BLOCK = 1 << 30;

/**
 * Memory that all blocks of a segment are built in: new memory of that size is mapped and zeroed each time, which took
 * more than encrypting. Larger blocks than a spool's common ones get memory of their own.
 */
const KEPT = 512 * 1024;

/** Writes the blocks of one segment. */
export class BlockSealer {
  readonly header = Buffer.alloc(SEGMENT_HEADER);
  readonly #secret: Buffer | undefined;
  #number = 0;
  #kept: Buffer | undefined;

  /** @param key `undefined`: not encrypted */
  constructor(key: BlobKey | undefined) {
    MAGIC.copy(this.header);
    if (!key) return;
    this.header.write(key.id, MAGIC.length, KEY_ID, 'latin1');
    randomBytes(32).copy(this.header, MAGIC.length + KEY_ID);
    this.#secret = secretOf(this.header, key);
  }

  /** The bytes of the next block of the segment, valid until the one after it. A number is never used for two contents. */
  seal(frames: Uint8Array): Buffer {
    const number = this.#number++;
    const block = this.#memory(BLOCK_HEADER + frames.length + (this.#secret ? TAG : 0));
    if (this.#secret) this.#encrypt(this.#secret, frames, number, block);
    else block.set(frames, BLOCK_HEADER);
    const payload = block.subarray(BLOCK_HEADER);
    block.writeUInt32LE(payload.length, 0);
    block.writeUInt32LE(crc32(payload), 4);
    block.writeUInt32LE(number, 8);
    block.writeUInt32LE(0, 12);
    return block;
  }

  #memory(bytes: number): Buffer {
    if (bytes > KEPT) return Buffer.allocUnsafeSlow(bytes);
    this.#kept ??= Buffer.allocUnsafeSlow(KEPT);
    return this.#kept.subarray(0, bytes);
  }

  #encrypt(secret: Buffer, frames: Uint8Array, number: number, block: Buffer): void {
    const cipher = createCipheriv('aes-256-gcm', secret, nonceOf(number)).setAAD(this.header);
    block.set(cipher.update(frames), BLOCK_HEADER);
    cipher.final();
    block.set(cipher.getAuthTag(), BLOCK_HEADER + frames.length);
  }
}

function secretOf(header: Buffer, key: BlobKey): Buffer {
  return Buffer.from(hkdfSync('sha256', key.secret, header.subarray(MAGIC.length + KEY_ID), INFO, 32));
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32BE(number, 8);
  return nonce;
}

/**
 * The blocks of a segment, each in memory of its own that begins at a multiple of eight; a torn tail is left out.
 *
 * @throws PerennialError `KeyringInvalid` where its key is not in the keyring; `ArtifactCorrupt` where the file is no
 *   segment, or a whole block does not decrypt; the file system's own errors
 */
export async function* segmentBlocks(
  path: string,
  keyring: Keyring,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const file = await open(path, 'r');
  try {
    const header = await read(file, 0, SEGMENT_HEADER);
    // Killed before anything was written.
    if (header === undefined) return;
    if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt(path);
    const id = header.toString('latin1', MAGIC.length, MAGIC.length + KEY_ID).replace(/\0+$/, '');
    const secret = id === '' ? undefined : secretOf(header, await keyring.key(id));
    let at = SEGMENT_HEADER;
    for (let number = 0; ; number++) {
      const head = await read(file, at, BLOCK_HEADER);
      if (head === undefined) return;
      const length = head.readUInt32LE(0);
      if (length > MAX_BLOCK || head.readUInt32LE(8) !== number) return;
      const payload = await read(file, at + BLOCK_HEADER, length);
      if (payload === undefined || crc32(payload) !== head.readUInt32LE(4)) return;
      yield aligned(secret ? decrypted(payload, secret, header, number, path) : payload);
      at += BLOCK_HEADER + length;
    }
  } finally {
    await file.close();
  }
}

function decrypted(payload: Buffer, secret: Buffer, header: Buffer, number: number, path: string): Buffer {
  if (payload.length < TAG) throw corrupt(path);
  const decipher = createDecipheriv('aes-256-gcm', secret, nonceOf(number)).setAAD(header);
  decipher.setAuthTag(payload.subarray(-TAG));
  const plain = decipher.update(payload.subarray(0, -TAG));
  try {
    decipher.final();
  } catch {
    throw corrupt(path);
  }
  return plain;
}

const corrupt = (path: string): PerennialError =>
  new PerennialError(
    'ArtifactCorrupt',
    `${path} is no segment of the prediction log, or was changed; move it away`,
  );

function aligned(bytes: Buffer): Uint8Array<ArrayBuffer> {
  const own = new Uint8Array(bytes.length);
  own.set(bytes);
  return own;
}

/** Exactly `size` bytes; `undefined` where the file ends before. */
async function read(file: FileHandle, at: number, size: number): Promise<Buffer | undefined> {
  const buffer = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(buffer, filled, size - filled, at + filled);
    if (bytesRead === 0) return undefined;
    filled += bytesRead;
  }
  return buffer;
}
