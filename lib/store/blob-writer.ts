import { chmod, copyFile, rm, stat } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { type BlobBackend, blobPath, SEALED_SUFFIX } from './blob-backend.ts';
import { sha256Of, sha256OfFile } from './digest.ts';
import { writeDurably } from './durable-file.ts';
import type { Erasures } from './erasures.ts';
import type { Keyring } from './keyring.ts';
import { type Plaintext, sealBytes, sealFile } from './sealed-file.ts';
import { sealedSize } from './sealed-format.ts';

/** Puts blobs into a backend: each once, encrypted where anybody asked for it, never again where it was erased. */
export class BlobWriter {
  constructor(
    private readonly backend: BlobBackend,
    private readonly keyring: Keyring,
    private readonly erasures: Erasures,
  ) {}

  /** What is hashed is what is stored: the file is copied or encrypted first. */
  async putFile(path: string, mediaType: string, encrypt: boolean): Promise<ArtifactRef> {
    return this.#withTemp(async (temp) => {
      const { sha256, bytes } = encrypt ? await sealFile(path, temp, this.keyring) : await copied(path, temp);
      return this.#put(refOf(sha256, bytes, mediaType), encrypt, temp, async () => undefined);
    });
  }

  async putBytes(content: Uint8Array, mediaType: string, encrypt: boolean): Promise<ArtifactRef> {
    return this.#withTemp((temp) =>
      this.#put(refOf(sha256Of(content), content.length, mediaType), encrypt, temp, () =>
        encrypt ? sealBytes(content, temp, this.keyring) : writeDurably(temp, content),
      ),
    );
  }

  async #withTemp<T>(work: (temp: string) => Promise<T>): Promise<T> {
    const temp = this.backend.tempPath();
    try {
      return await work(temp);
    } finally {
      await rm(temp, { force: true });
    }
  }

  /** @param make writes `temp`, where it is not there already; called only where it is needed */
  async #put(
    ref: ArtifactRef,
    encrypt: boolean,
    temp: string,
    make: () => Promise<void>,
  ): Promise<ArtifactRef> {
    const { sha256 } = ref;
    const sealed = sha256 + SEALED_SUFFIX;
    const encrypted = await this.backend.touch(sealed);
    if (encrypted?.bytes === sealedSize(ref.bytes)) {
      if (encrypt) await this.#dropPlain(sha256);
      return ref;
    }
    // A damaged one is replaced by an encrypted one alone: it says that these bytes must not lie there in the clear.
    if (encrypted && !encrypt)
      throw new PerennialError(
        'ArtifactCorrupt',
        `the encrypted artifact ${ref.uri} in ${this.backend.root} is damaged; delete ${blobPath(sealed)} there, or store it encrypted`,
      );
    // Where the garbage collector has deleted the bytes in between, they are written again.
    if (!encrypt && (await this.backend.touch(sha256))?.bytes === ref.bytes) return ref;
    const successor = (await this.erasures.release(sha256))
      ? undefined
      : await this.erasures.successor(sha256);
    if (successor) return successor;

    await make();
    await this.backend.adopt(temp, encrypt ? sealed : sha256);
    return this.#settled(ref, encrypt);
  }

  /**
   * Looks again when the bytes are in place: who encrypted or erased the same ones meanwhile has either deleted these,
   * or has written before that he would.
   */
  async #settled(ref: ArtifactRef, encrypt: boolean): Promise<ArtifactRef> {
    const { sha256 } = ref;
    const sealed = sha256 + SEALED_SUFFIX;
    if (encrypt || (await this.backend.head(sealed))) await this.#dropPlain(sha256);
    if (!(await this.erasures.of(sha256))) return ref;
    for (const name of [sha256, sealed]) await this.backend.erase(name);
    return (await this.erasures.successor(sha256)) ?? ref;
  }

  /** What is encrypted does not lie there in the clear as well. */
  async #dropPlain(sha256: string): Promise<void> {
    if (await this.backend.head(sha256)) await this.backend.erase(sha256);
  }
}

/** A copy for its owner alone; by itself it would come with the mode of its source. */
async function copied(path: string, target: string): Promise<Plaintext> {
  await copyFile(path, target);
  await chmod(target, 0o600);
  return { sha256: await sha256OfFile(target), bytes: (await stat(target)).size };
}

const refOf = (sha256: string, bytes: number, mediaType: string): ArtifactRef => ({
  uri: `cas:${sha256}`,
  sha256,
  bytes,
  mediaType,
});
