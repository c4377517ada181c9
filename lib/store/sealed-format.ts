import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { PerennialError } from '../../contracts/errors.ts';

/**
 * How a blob is encrypted: AES-256-GCM in chunks, after the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár,
 * "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015), with a key for each blob
 * derived by HKDF as in Tink's AES-GCM-HKDF streaming AEAD.
 *
 * ```
 * header, 64 bytes:  "PRNSEAL" | version 1 | key id, 24 bytes, zero-padded | salt, 32 random bytes
 * chunks:            ciphertext of 1 MiB of plaintext (the last one: of the rest, at least one chunk) | tag, 16 bytes
 * key, nonce prefix: HKDF-SHA256(key of the keyring, salt, "perennial sealed blob 1"), 32 and 7 bytes
 * nonce of a chunk:  prefix | chunk number, 4 bytes big-endian | 1 for the last chunk, else 0
 * associated data:   the header
 * ```
 *
 * A changed bit, a chunk that is missing, moved or of another blob, and a cut-off end all fail to decrypt.
 */
export const SEALED = { chunk: 1 << 20, tag: 16, header: 64, keyId: 24, salt: 32 } as const;

const MAGIC = Buffer.from('PRNSEAL\x01', 'latin1');
const INFO = 'perennial sealed blob 1';
const NONCE_PREFIX = 7;
const MOST_CHUNKS = 2 ** 32;

/** A key of the keyring. */
export interface BlobKey {
  /** 1 to 24 of `a-z`, `0-9`, `-`. */
  id: string;
  /** 32 bytes. */
  secret: Buffer;
}

type Chunks = AsyncIterable<Buffer> | Iterable<Buffer>;

/** Size of a sealed blob whose plaintext has `bytes` bytes. */
export const sealedSize = (bytes: number): number =>
  SEALED.header + bytes + SEALED.tag * Math.max(1, Math.ceil(bytes / SEALED.chunk));

/**
 * Encrypts.
 *
 * @param plain chunks of exactly 1 MiB, the last one smaller or as large
 * @returns the sealed bytes, piece by piece
 */
export async function* seal(plain: Chunks, key: BlobKey): AsyncGenerator<Buffer> {
  const header = Buffer.alloc(SEALED.header);
  MAGIC.copy(header);
  header.write(key.id, MAGIC.length, SEALED.keyId, 'latin1');
  randomBytes(SEALED.salt).copy(header, SEALED.header - SEALED.salt);
  yield header;
  const { secret, nonce } = derived(header, key.secret);
  for await (const { chunk, index, last } of numbered(plain)) {
    const cipher = createCipheriv('aes-256-gcm', secret, nonce(index, last)).setAAD(header);
    yield Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
  }
}

/**
 * Decrypts. Nothing of a chunk is given out before its tag was found right; the end of the blob is known to be the end
 * only when the generator ends without an error.
 *
 * @param header the first 64 bytes, see {@link keyIdOf}
 * @param sealed what follows, in chunks of exactly 1 MiB + 16 bytes, the last one smaller or as large
 * @throws PerennialError `ArtifactCorrupt` where the bytes are not what {@link seal} gave
 */
export async function* unseal(header: Buffer, sealed: Chunks, key: BlobKey): AsyncGenerator<Buffer> {
  const { secret, nonce } = derived(header, key.secret);
  for await (const { chunk, index, last } of numbered(sealed)) {
    if (chunk.length < SEALED.tag) throw corrupt();
    const decipher = createDecipheriv('aes-256-gcm', secret, nonce(index, last)).setAAD(header);
    decipher.setAuthTag(chunk.subarray(-SEALED.tag));
    const plain = decipher.update(chunk.subarray(0, -SEALED.tag));
    try {
      decipher.final();
    } catch {
      throw corrupt();
    }
    yield plain;
  }
}

/**
 * The id of the key that a blob was sealed with.
 *
 * @param header its first 64 bytes
 * @throws PerennialError `ArtifactCorrupt`
 */
export function keyIdOf(header: Buffer): string {
  const id = header.subarray(MAGIC.length, MAGIC.length + SEALED.keyId).toString('latin1');
  const found = /^([a-z0-9-]+)\0*$/.exec(id)?.[1];
  if (header.length !== SEALED.header || !header.subarray(0, MAGIC.length).equals(MAGIC) || !found)
    throw corrupt();
  return found;
}

/** The same pieces; `done` gives their SHA-256 and size when all have gone by. */
export function hashed(pieces: Chunks): {
  pieces: AsyncGenerator<Buffer>;
  done(): { sha256: string; bytes: number };
} {
  const hash = createHash('sha256');
  let bytes = 0;
  return {
    pieces: (async function* () {
      for await (const piece of pieces) {
        hash.update(piece);
        bytes += piece.length;
        yield piece;
      }
    })(),
    done: () => ({ sha256: hash.digest('hex'), bytes }),
  };
}

const corrupt = (): PerennialError =>
  new PerennialError(
    'ArtifactCorrupt',
    'an encrypted artifact was changed, cut off or put together otherwise',
  );

function derived(header: Buffer, master: Buffer) {
  const salt = header.subarray(-SEALED.salt);
  const material = Buffer.from(hkdfSync('sha256', master, salt, INFO, 32 + NONCE_PREFIX));
  return {
    secret: material.subarray(0, 32),
    nonce: (index: number, last: boolean): Buffer => {
      const nonce = Buffer.alloc(NONCE_PREFIX + 5);
      material.copy(nonce, 0, 32);
      nonce.writeUInt32BE(index, NONCE_PREFIX);
      nonce.writeUInt8(last ? 1 : 0, NONCE_PREFIX + 4);
      return nonce;
    },
  };
}

/** Chunks with their number, one behind, so that the last one is known; at least one, which may be empty. */
async function* numbered(chunks: Chunks): AsyncGenerator<{ chunk: Buffer; index: number; last: boolean }> {
  let held: Buffer | undefined;
  let index = 0;
  for await (const chunk of chunks) {
    if (held) yield { chunk: held, index: index++, last: false };
    if (index >= MOST_CHUNKS) throw new PerennialError('StageFailed', 'a blob of 4 PiB cannot be encrypted');
    held = chunk;
  }
  yield { chunk: held ?? Buffer.alloc(0), index, last: true };
}
