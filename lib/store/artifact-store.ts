import { randomUUID } from 'node:crypto';
import { constants, copyFile, link, mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef, MediaType } from '../../contracts/refs.ts';
import { type BlobBackend, needsKeys, SEALED_SUFFIX } from './blob-backend.ts';
import { BlobReader } from './blob-reader.ts';
import { BlobWriter } from './blob-writer.ts';
import type { Documents } from './documents.ts';
import { orMissing } from './durable-file.ts';
import { type Erasure, Erasures } from './erasures.ts';
import { FileBackend } from './file-backend.ts';
import { Keyring } from './keyring.ts';
import { sealedSize } from './sealed-format.ts';

/** How an artifact is stored. */
export interface PutOptions {
  /**
   * Encrypts it at rest: for whatever holds personal data. The same bytes that lie there unencrypted are replaced; what
   * is encrypted stays so, whoever puts it again without this. Default: what {@link ArtifactStore.within} says, else
   * `false`. A store that encrypts everything does so in any case.
   */
  encrypt?: boolean;
}

/** An artifact as the garbage collector sees it. */
export interface ListedBlob {
  sha256: string;
  /** As stored. */
  bytes: number;
  /** When it was last written or asked for, epoch milliseconds. */
  touchedAt: number;
}

type Media = MediaType | (string & {});

/** What all views of one store share. */
interface Shared {
  /** Encrypts everything, whatever a put or a view says. */
  encryptAll: boolean;
  backend: BlobBackend;
  erasures: Erasures;
  keyring: Keyring;
  reader: BlobReader;
  writer: BlobWriter;
}

/**
 * Content-addressed artifacts: a digest names bytes for ever. In a folder or an S3 bucket, encrypted at rest where
 * asked; see docs/artifact-store.md. Writing is atomic and idempotent: the same bytes are stored once. The digest is
 * that of the plain bytes, whether they are encrypted or not.
 *
 * @example
 * const store = await ArtifactStore.create('.perennial/artifacts');
 * const ref = await store.putJson({ hello: 'world' }, { encrypt: true });
 * const path = await store.within(scratchDir).path(ref); // verified, decrypted local file
 */
export class ArtifactStore {
  private constructor(
    private readonly shared: Shared,
    private readonly view: { scratchDir?: string; encrypt: boolean },
  ) {}

  /**
   * A store in a folder.
   *
   * @param root created where it is missing
   * @param keyring default `keyring.json` beside the folder, made when it is first needed
   */
  static async create(root: string, keyring?: Keyring): Promise<ArtifactStore> {
    const backend = await FileBackend.create(root);
    const needed = () => needsKeys(backend);
    return ArtifactStore.over(
      backend,
      keyring ?? new Keyring(join(dirname(root), 'keyring.json'), { create: true, needed }),
    );
  }

  /** A store over a backend; see {@link openStore} for the one of a worker's configuration. */
  static over(backend: BlobBackend, keyring: Keyring, options: { encrypt?: boolean } = {}): ArtifactStore {
    const erasures = new Erasures(backend.documents);
    const reader = new BlobReader(backend, keyring, erasures);
    const writer = new BlobWriter(backend, keyring, erasures);
    return new ArtifactStore(
      { encryptAll: options.encrypt === true, backend, erasures, keyring, reader, writer },
      { encrypt: false },
    );
  }

  /** Where it lies: a folder, or `s3://bucket/prefix`. */
  get root(): string {
    return this.shared.backend.root;
  }

  /** Small JSON documents beside the artifacts. */
  get documents(): Documents {
    return this.shared.backend.documents;
  }

  /** The keys that artifacts are encrypted with. */
  get keyring(): Keyring {
    return this.shared.keyring;
  }

  /** What was erased, and what took its place. */
  get erasures(): Erasures {
    return this.shared.erasures;
  }

  /**
   * The same store for one piece of work with a scratch folder: {@link path} decrypts into it, and what it gives stays
   * valid for as long as the folder is there. Whoever gives the folder deletes it.
   *
   * @param options.encrypt what puts do by default
   */
  within(scratchDir: string, options: { encrypt?: boolean } = {}): ArtifactStore {
    return new ArtifactStore(this.shared, { scratchDir, encrypt: options.encrypt ?? this.view.encrypt });
  }

  /**
   * Copies a file into the store.
   *
   * @returns its reference; where these very bytes were erased, the reference of what took their place
   * @throws PerennialError `ArtifactErased` where nothing did, `KeyringInvalid`
   */
  putFile(path: string, mediaType: Media, options: PutOptions = {}): Promise<ArtifactRef> {
    return this.shared.writer.putFile(path, mediaType, this.#encrypts(options));
  }

  /** Stores bytes or text; answers as {@link putFile}. */
  putBytes(content: Uint8Array | string, mediaType: Media, options: PutOptions = {}): Promise<ArtifactRef> {
    const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content;
    return this.shared.writer.putBytes(bytes, mediaType, this.#encrypts(options));
  }

  #encrypts({ encrypt = this.view.encrypt }: PutOptions): boolean {
    return this.shared.encryptAll || encrypt;
  }

  /** Stores a value as JSON; answers as {@link putFile}. */
  putJson(value: unknown, options: PutOptions = {}): Promise<ArtifactRef> {
    return this.putBytes(JSON.stringify(value), 'application/json', options);
  }

  /**
   * A local file with the bytes of an artifact, compared with their digest. Never write to it. Of an artifact that was
   * erased: of what took its place.
   *
   * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`, `ArtifactErased`, `KeyringInvalid`; `StageFailed` for
   *   an encrypted one where there is no scratch folder
   */
  async path(ref: ArtifactRef): Promise<string> {
    const { scratchDir } = this.view;
    const { backend, reader } = this.shared;
    return reader.read(ref, async (found) => {
      if (!found.sealed && !(backend.evicts && scratchDir)) return found.path;
      if (!scratchDir)
        throw new PerennialError(
          'StageFailed',
          `artifact ${ref.uri} is encrypted; its path can be had from store.within(a scratch folder) alone`,
        );
      const own = join(scratchDir, 'artifacts', found.sha256);
      if (await stat(own).catch(orMissing)) return own;
      await mkdir(dirname(own), { recursive: true, mode: 0o700 });
      const temp = `${own}.${randomUUID()}`;
      try {
        if (found.sealed) await reader.decryptTo(found, temp);
        // Linked: the cache may drop its name for the file at any time.
        else await link(found.path, temp).catch(() => copyFile(found.path, temp, constants.COPYFILE_FICLONE));
        await rename(temp, own);
      } finally {
        await rm(temp, { force: true });
      }
      return own;
    });
  }

  /** The bytes of an artifact, an encrypted one decrypted in memory. @throws as {@link path} */
  bytes(ref: ArtifactRef): Promise<Buffer> {
    const { reader } = this.shared;
    return reader.read(ref, (found) => (found.sealed ? reader.decrypted(found) : readFile(found.path)));
  }

  /** The parsed JSON of an artifact; check it with its schema. */
  async json(ref: ArtifactRef): Promise<unknown> {
    return JSON.parse((await this.bytes(ref)).toString('utf8'));
  }

  /** Whether an artifact, or what took its place, is in the store with the right size. */
  async has(ref: ArtifactRef): Promise<boolean> {
    const { erasures, reader } = this.shared;
    if (await reader.isStored(ref)) return true;
    const successor = await erasures.successor(ref.sha256).catch((error: unknown) => {
      if (error instanceof PerennialError && error.code === 'ArtifactErased') return undefined;
      throw error;
    });
    return successor !== undefined && reader.isStored(successor);
  }

  /** Whether bytes of this digest are stored, of whatever size; nothing is followed. */
  async holds(sha256: string): Promise<boolean> {
    const { backend } = this.shared;
    return (
      (await backend.head(sha256)) !== undefined || (await backend.head(sha256 + SEALED_SUFFIX)) !== undefined
    );
  }

  /** The reference that is in force: of what took its place where the artifact was erased. @throws `ArtifactErased` */
  async resolve(ref: ArtifactRef): Promise<ArtifactRef> {
    return (await this.shared.erasures.successor(ref.sha256)) ?? ref;
  }

  /**
   * Tells the garbage collector that somebody needs an artifact again.
   *
   * @returns whether this very artifact is in the store with the right size, and stays; what was erased is not
   */
  async touch(ref: ArtifactRef): Promise<boolean> {
    const { backend } = this.shared;
    if ((await backend.touch(ref.sha256))?.bytes === ref.bytes) return true;
    return (await backend.touch(ref.sha256 + SEALED_SUFFIX))?.bytes === sealedSize(ref.bytes);
  }

  /** Whether an artifact is encrypted at rest. */
  async isEncrypted(ref: ArtifactRef): Promise<boolean> {
    const { sha256 } = await this.resolve(ref);
    const { backend } = this.shared;
    return !(await backend.head(sha256)) && (await backend.head(sha256 + SEALED_SUFFIX)) !== undefined;
  }

  /**
   * Erases an artifact for good and puts another one, or none, in its place: references to the old one lead to the new
   * one, and the old bytes cannot be stored again, but for `mayReturn`. The same once more changes nothing.
   *
   * @param sha256 digest of what held the person
   * @param replacement the same without the person; in the store already
   * @param options.certificate its number; no personal data
   * @param options.mayReturn who stores these very bytes again is let, and they count again: for what names nobody and
   *   may come of other rows just as well, such as the labels of a sorted table
   * @throws PerennialError `ArtifactMissing` where the replacement is not in the store, `InputInvalid` where the
   *   artifact was erased before and something else took its place
   */
  async replace(
    sha256: string,
    replacement: ArtifactRef | null,
    { certificate, mayReturn = false }: { certificate: string; mayReturn?: boolean },
  ): Promise<Erasure> {
    const { erasures, reader } = this.shared;
    if (replacement && !(await this.touch(replacement))) throw reader.missing(replacement);
    // First: who stores the same bytes meanwhile looks here last, and takes them back.
    const erasure = await erasures.record(sha256, replacement, certificate, mayReturn);
    await this.#eraseBytes(sha256);
    return erasure;
  }

  /**
   * Deletes the bytes of an artifact that was erased: whoever erased it may have been killed in between.
   *
   * @returns whether it was erased; of another one nothing is deleted
   */
  async finishErasure(sha256: string): Promise<boolean> {
    if (!(await this.shared.erasures.of(sha256))) return false;
    await this.#eraseBytes(sha256);
    return true;
  }

  async #eraseBytes(sha256: string): Promise<void> {
    const { backend, reader } = this.shared;
    reader.forget(sha256);
    for (const name of [sha256, sha256 + SEALED_SUFFIX]) await backend.erase(name);
  }

  /**
   * How many artifacts that the garbage collector deleted can still be had in former versions, in a bucket that keeps
   * them: an erasure cannot look into these.
   */
  formerVersions(): Promise<number> {
    return this.shared.backend.formerVersions();
  }

  /** All artifacts, with when they were last written or asked for. */
  async blobs(): Promise<ListedBlob[]> {
    const found = new Map<string, ListedBlob>();
    for await (const { name, bytes, touchedAt } of this.shared.backend.list()) {
      const sha256 = name.slice(0, 64);
      const twin = found.get(sha256);
      found.set(sha256, {
        sha256,
        bytes: bytes + (twin?.bytes ?? 0),
        touchedAt: Math.max(touchedAt, twin?.touchedAt ?? 0),
      });
    }
    return [...found.values()];
  }

  /**
   * Deletes an artifact; the garbage collector's alone.
   *
   * @param options.untouchedSince epoch milliseconds: one that was written or asked for later is needed again and stays
   * @returns whether it was deleted
   */
  async remove(sha256: string, options: { untouchedSince: number }): Promise<boolean> {
    const { backend, reader } = this.shared;
    let removed = false;
    for (const name of [sha256, sha256 + SEALED_SUFFIX])
      if (await backend.remove(name, options.untouchedSince)) removed = true;
    if (removed) reader.forget(sha256);
    return removed;
  }

  /**
   * Deletes what killed writers left half written before `before` (epoch milliseconds), and this machine's copies of
   * what was erased on others.
   */
  async sweep(before: number): Promise<void> {
    const { backend, erasures } = this.shared;
    await backend.sweep(before);
    const copies = new Set((await backend.copies()).map((name) => name.slice(0, 64)));
    if (copies.size === 0) return;
    for await (const sha256 of erasures.digests())
      if (copies.has(sha256)) for (const name of [sha256, sha256 + SEALED_SUFFIX]) await backend.forget(name);
  }
}
