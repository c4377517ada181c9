import { stat } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { type BlobBackend, SEALED_SUFFIX } from './blob-backend.ts';
import { sha256OfFile } from './digest.ts';
import { isMissing } from './durable-file.ts';
import type { Erasures } from './erasures.ts';
import type { Keyring } from './keyring.ts';
import { type Plaintext, unsealBytes, unsealFile } from './sealed-file.ts';
import { sealedSize } from './sealed-format.ts';

/** The stored file of an artifact, or of what took the place of one that was erased. */
export interface FoundBlob {
  sha256: string;
  /** Size of the plain bytes. */
  bytes: number;
  /** A local file; encrypted where `sealed`. */
  path: string;
  sealed: boolean;
}

/** Finds blobs in a backend and compares them with their digests. */
export class BlobReader {
  /** Digests whose unencrypted bytes this process has already compared with their name. */
  readonly #verified = new Set<string>();

  constructor(
    private readonly backend: BlobBackend,
    private readonly keyring: Keyring,
    private readonly erasures: Erasures,
  ) {}

  /**
   * Has an artifact's file used; a local copy that is damaged, or has just made room, is fetched anew once.
   *
   * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`, `ArtifactErased`
   */
  async read<T>(ref: ArtifactRef, use: (found: FoundBlob) => Promise<T>): Promise<T> {
    for (let again = this.backend.evicts; ; again = false) {
      const found = await this.#find(ref);
      try {
        if (!found.sealed) await this.#verify(found);
        return await use(found);
      } catch (error) {
        const damaged = error instanceof PerennialError && error.code === 'ArtifactCorrupt';
        if (damaged) await this.backend.forget(found.sealed ? found.sha256 + SEALED_SUFFIX : found.sha256);
        if (again && (damaged || isMissing(error))) continue;
        throw damaged ? corrupt(ref, found.path) : error;
      }
    }
  }

  /** Decrypts a sealed one into a new file (mode 0600). */
  async decryptTo({ path, sha256 }: FoundBlob, target: string): Promise<void> {
    compare(await unsealFile(path, target, this.keyring), sha256);
  }

  /** Decrypts a sealed one in memory. */
  async decrypted({ path, sha256 }: FoundBlob): Promise<Buffer> {
    const { content, ...plaintext } = await unsealBytes(path, this.keyring);
    compare(plaintext, sha256);
    return content;
  }

  /** Whether this very artifact is there with the right size. */
  async isStored(ref: ArtifactRef): Promise<boolean> {
    if ((await this.backend.head(ref.sha256))?.bytes === ref.bytes) return true;
    return (await this.backend.head(ref.sha256 + SEALED_SUFFIX))?.bytes === sealedSize(ref.bytes);
  }

  /** To be called when a blob was deleted: the next one of its name is compared again. */
  forget(sha256: string): void {
    this.#verified.delete(sha256);
  }

  missing(ref: ArtifactRef): PerennialError {
    return new PerennialError(
      'ArtifactMissing',
      `artifact ${ref.uri} (${ref.mediaType}) is not in the store at ${this.backend.root}; restore it from a backup or run the stage again`,
    );
  }

  async #find(asked: ArtifactRef): Promise<FoundBlob> {
    const { backend, erasures } = this;
    for (const ref of [asked, undefined]) {
      const { sha256, bytes } = ref ?? (await erasures.successor(asked.sha256)) ?? {};
      if (sha256 === undefined || bytes === undefined) break;
      const plain = await backend.local(sha256);
      if (plain !== undefined) return { sha256, bytes, path: plain, sealed: false };
      this.#verified.delete(sha256);
      const sealed = await backend.local(sha256 + SEALED_SUFFIX);
      if (sealed !== undefined) return { sha256, bytes, path: sealed, sealed: true };
    }
    throw this.missing(asked);
  }

  async #verify({ sha256, bytes, path }: FoundBlob): Promise<void> {
    if (this.#verified.has(sha256)) return;
    const { size } = await stat(path);
    compare({ sha256: size === bytes ? await sha256OfFile(path) : '' }, sha256);
    this.#verified.add(sha256);
  }
}

/** The artifact's name is told where this is caught. */
function compare(found: Pick<Plaintext, 'sha256'>, sha256: string): void {
  if (found.sha256 !== sha256)
    throw new PerennialError('ArtifactCorrupt', 'other bytes than the digest says');
}

const corrupt = (ref: ArtifactRef, path: string): PerennialError =>
  new PerennialError(
    'ArtifactCorrupt',
    `artifact ${ref.uri} has other bytes than its digest says; delete ${path} and run the stage again`,
  );
