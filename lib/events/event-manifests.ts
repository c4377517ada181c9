import type { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import {
  type AppendVerdict,
  type EventBatch,
  type EventLogHead,
  type EventManifest,
  eventChunk,
  eventLogHead,
  eventManifest,
} from '../../contracts/events.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { admit, type KnownBatch } from '../../domain/event-log.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { type Documents, updateDocument } from '../store/documents.ts';

/** Batches in a full chunk: a chunk of them is some 150 KB of JSON. */
const CHUNK = 500;
/** Chunks whose batches are kept in memory. */
const REMEMBERED = 200;

/** The key of the document that says where a log stands; names of documents begin with a letter or a digit. */
const documentKey = (log: string): string => `events/log-${log}`;

type Store = Pick<ArtifactStore, 'json' | 'putJson' | 'erasures'>;

/**
 * What a log holds lies in the artifact store: a manifest with the latest batches and references to chunks of the
 * earlier ones. An append reads and writes one manifest and at most one chunk, however long the log is. Manifests say what
 * was pushed and never change; what stands for the rows of a batch after an erasure, the store's erasures say.
 */
export class EventManifests {
  /** Chunks never change, so they are read once. */
  readonly #chunks = new Map<string, EventBatch[]>();

  constructor(
    private readonly store: Store,
    private readonly documents: Documents,
  ) {}

  /** All batches of a log in order, each with the artifact that is in force; the counts of rows are those of the push. */
  async batches(head: Pick<EventLogHead, 'manifest'>): Promise<EventBatch[]> {
    const batches = await this.#pushed(head);
    const erased = new Set<string>();
    for await (const digest of this.store.erasures.digests()) erased.add(digest);
    const inForce = new Map<string, ArtifactRef>();
    for (const { artifact } of batches)
      if (erased.has(artifact.sha256) && !inForce.has(artifact.sha256))
        inForce.set(artifact.sha256, (await this.store.erasures.successor(artifact.sha256)) ?? artifact);
    return batches.map((batch) => ({
      ...batch,
      artifact: inForce.get(batch.artifact.sha256) ?? batch.artifact,
    }));
  }

  async #pushed(head: Pick<EventLogHead, 'manifest'>): Promise<EventBatch[]> {
    if (head.manifest === null) return [];
    const { chunks, latest } = await this.#manifest(head.manifest);
    const earlier: EventBatch[][] = [];
    for (const { artifact } of chunks) earlier.push(await this.#chunk(artifact));
    return [...earlier.flat(), ...latest];
  }

  /** The artifacts that a manifest names: chunks and stored rows. The garbage collector keeps them. */
  async artifacts(manifest: ArtifactRef): Promise<string[]> {
    const { chunks } = await this.#manifest(manifest);
    const batches = await this.batches({ manifest });
    return [...chunks, ...batches].map(({ artifact }) => artifact.sha256);
  }

  /** Where a log stood when it was last written down; an empty log where it never was. */
  async latest(log: string): Promise<EventLogHead> {
    const found = await this.documents.read(documentKey(log));
    if (!found) return { manifest: null, format: null, batches: 0, rows: 0 };
    return parsed(eventLogHead, found.value, `the document ${documentKey(log)}`);
  }

  /** All logs that were ever written down, with their heads. */
  async *heads(): AsyncGenerator<EventLogHead & { log: string }> {
    for await (const key of this.documents.keys('events/')) {
      const found = await this.documents.read(key);
      const log = key.slice(documentKey('').length);
      if (found) yield { log, ...parsed(eventLogHead, found.value, `the document ${key}`) };
    }
  }

  /**
   * Adds those of the batches that are new to the log. The same call gives the same answer.
   *
   * @param problems why a batch cannot be read, by batch id
   */
  async append(
    log: string,
    head: EventLogHead,
    offered: readonly EventBatch[],
    problems: ReadonlyMap<string, string>,
  ): Promise<{ head: EventLogHead; verdicts: AppendVerdict[] }> {
    const known = await this.known(head);
    const asPushed: EventBatch[] = [];
    for (const batch of offered) asPushed.push(await this.#asPushed(batch, known.get(batch.batchId)));
    const { admitted, verdicts } = admit(
      { batches: head.batches, format: head.format, known: (id) => known.get(id) },
      asPushed,
      problems,
    );
    const [first] = admitted;
    if (!first) return { head, verdicts };
    const before: EventManifest =
      head.manifest === null
        ? { schemaVersion: 1, log, chunks: [], latest: [] }
        : await this.#manifest(head.manifest);
    const next: EventLogHead = {
      manifest: await this.store.putJson(await this.#with(before, admitted)),
      format: head.format ?? first.format,
      batches: head.batches + admitted.length,
      rows: head.rows + admitted.reduce((sum, { rows }) => sum + rows, 0),
    };
    // A delayed attempt must not take the document back; the log only grows.
    await updateDocument(this.documents, documentKey(log), (value) =>
      (eventLogHead.safeParse(value).data?.batches ?? 0) < next.batches ? next : undefined,
    );
    return { head: next, verdicts };
  }

  /** The batches of a log by their ids, with the digests of what was pushed. */
  async known(head: Pick<EventLogHead, 'manifest'>): Promise<Map<string, KnownBatch>> {
    const batches = await this.#pushed(head);
    return new Map(
      batches.map(({ batchId, artifact: { sha256 }, rows }, offset) => [batchId, { offset, sha256, rows }]),
    );
  }

  /** A batch that is sent again after an erasure comes with what took the place of its rows: it is the same one still. */
  async #asPushed(batch: EventBatch, known: KnownBatch | undefined): Promise<EventBatch> {
    const { artifact } = batch;
    if (known === undefined || known.sha256 === artifact.sha256) return batch;
    const inForce = async (sha256: string): Promise<string> =>
      (await this.store.erasures.successor(sha256))?.sha256 ?? sha256;
    if ((await inForce(known.sha256)) !== (await inForce(artifact.sha256))) return batch;
    return { ...batch, artifact: { ...artifact, sha256: known.sha256 } };
  }

  async #with(before: EventManifest, admitted: readonly EventBatch[]): Promise<EventManifest> {
    const chunks = [...before.chunks];
    let latest = [...before.latest, ...admitted];
    for (; latest.length >= CHUNK; latest = latest.slice(CHUNK))
      chunks.push({ artifact: await this.store.putJson(latest.slice(0, CHUNK)), batches: CHUNK });
    return { ...before, chunks, latest };
  }

  async #manifest(ref: ArtifactRef): Promise<EventManifest> {
    return parsed(eventManifest, await this.store.json(ref), `the manifest ${ref.uri} of an event log`);
  }

  async #chunk(ref: ArtifactRef): Promise<EventBatch[]> {
    const found =
      this.#chunks.get(ref.sha256) ??
      parsed(eventChunk, await this.store.json(ref), `the chunk ${ref.uri} of an event log`);
    if (this.#chunks.size < REMEMBERED) this.#chunks.set(ref.sha256, found);
    return found;
  }
}

function parsed<T extends z.ZodType>(schema: T, value: unknown, what: string): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new PerennialError('ArtifactCorrupt', `${what} is not what it should be; restore it from a backup`);
}
