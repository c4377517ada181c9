import type { z } from 'zod';
import { artifactRefs } from '../../contracts/artifact-digests.ts';
import {
  type CacheEntry,
  type CacheFilter,
  type CacheList,
  type CachePolicy,
  type CacheRemoval,
  cacheEntry,
} from '../../contracts/cache.ts';
import { isFresh, isKept, isMeant } from '../../domain/step-cache.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { type Documents, documentsBelow, type StoredDocument } from '../store/documents.ts';

const PREFIX = 'cache/';
/** A hit is written down at the most this often. */
const HIT_GRAIN_MS = 60_000;

/** What a stored result belongs to. */
export interface CacheSlot {
  stage: string;
  /** See `cacheKey`. */
  key: string;
}

/** What a collection left. */
export interface CacheCollection extends CacheRemoval {
  /** Digests that kept results need. */
  needed: Set<string>;
}

/**
 * Results of stages by the identity of their input: documents `cache/<stage>/<key>` of the artifact store. A result
 * counts only while every artifact that it names is in the store.
 */
export class StepCache {
  readonly #documents: Documents;

  constructor(private readonly store: ArtifactStore) {
    this.#documents = store.documents;
  }

  /**
   * The stored result, its artifacts kept from the garbage collector from now on. One whose artifacts are gone, or that
   * the stage of today cannot read, is dropped.
   *
   * @param output what the stage gives
   */
  async find<O>(
    slot: CacheSlot,
    policy: CachePolicy,
    output: z.ZodType<O>,
    asOf: number,
  ): Promise<{ output: O; storedAt: string } | undefined> {
    const found = await this.#documents.read(documentKey(slot));
    const entry = found && cacheEntry.safeParse(found.value).data;
    if (!found || !entry || !isFresh(entry, policy, asOf)) return undefined;
    const parsed = output.safeParse(entry.output);
    if (!parsed.success || !(await this.#hasAll(entry))) {
      await this.#documents.remove(documentKey(slot), { ifVersion: found.version });
      return undefined;
    }
    if (entry.lastHitAt === null || asOf - Date.parse(entry.lastHitAt) > HIT_GRAIN_MS)
      // Who changed or removed it meanwhile is right.
      await this.#documents.write(
        documentKey(slot),
        { ...entry, lastHitAt: new Date(asOf).toISOString() },
        { ifVersion: found.version },
      );
    return { output: parsed.data, storedAt: entry.storedAt };
  }

  /** Stores a result. Of several at once the last one stays; the same key gives the same result. */
  async remember(slot: CacheSlot, pipeline: string, output: unknown, asOf: number): Promise<string> {
    const storedAt = new Date(asOf).toISOString();
    const entry: CacheEntry = {
      schemaVersion: 1,
      ...slot,
      pipeline,
      storedAt,
      lastHitAt: null,
      output,
      artifacts: artifactRefs(output),
    };
    await this.#documents.write(documentKey(slot), entry);
    return storedAt;
  }

  /** The newest results; `total` counts all that the filter means. */
  async list(filter: CacheFilter, limit: number): Promise<CacheList> {
    const entries: CacheEntry[] = [];
    for await (const { entry } of this.#entries(filter)) if (entry) entries.push(entry);
    entries.sort((a, b) => (a.storedAt < b.storedAt ? 1 : -1));
    return {
      total: entries.length,
      entries: entries.slice(0, limit).map(({ key, stage, pipeline, storedAt, lastHitAt, artifacts }) => ({
        key,
        stage,
        pipeline,
        storedAt,
        lastHitAt,
        artifacts: artifacts.length,
        bytes: artifacts.reduce((sum, { bytes }) => sum + bytes, 0),
      })),
    };
  }

  /** Forgets results; their artifacts are left to the garbage collector. */
  async remove(filter: CacheFilter): Promise<CacheRemoval> {
    let removed = 0;
    for await (const { document } of this.#entries(filter)) {
      await this.#documents.remove(document.key);
      removed++;
    }
    return { removed, kept: 0 };
  }

  /**
   * Forgets results that nobody used for long, and those whose artifacts are gone.
   *
   * @param stored digests that were in the store a moment ago, where that is known: only what is not among them is
   *   looked for
   */
  async collect(keepMs: number, asOf: number, stored: ReadonlySet<string>): Promise<CacheCollection> {
    const result: CacheCollection = { removed: 0, kept: 0, needed: new Set() };
    for await (const { document, entry } of this.#entries({})) {
      const isComplete = async () => {
        for (const ref of entry?.artifacts ?? [])
          if (!stored.has(ref.sha256) && !(await this.store.touch(ref))) return false;
        return true;
      };
      const keep = entry !== undefined && isKept(entry, keepMs, asOf) && (await isComplete());
      // One that is used this very moment has another version, and stays.
      if (!keep && (await this.#documents.remove(document.key, { ifVersion: document.version }))) {
        result.removed++;
        continue;
      }
      result.kept++;
      for (const { sha256 } of entry?.artifacts ?? []) result.needed.add(sha256);
    }
    return result;
  }

  async *#entries(
    filter: CacheFilter,
  ): AsyncGenerator<{ document: StoredDocument & { key: string }; entry: CacheEntry | undefined }> {
    const prefix = filter.stage === undefined ? PREFIX : `${PREFIX}${filter.stage}/`;
    for await (const document of documentsBelow(this.#documents, prefix)) {
      const entry = cacheEntry.safeParse(document.value).data;
      // What another version of this program wrote is nobody's result: it goes with the collection.
      if (entry ? isMeant(entry, filter) : Object.values(filter).every((part) => part === undefined))
        yield { document, entry };
    }
  }

  async #hasAll({ artifacts }: CacheEntry): Promise<boolean> {
    const there = await Promise.all(artifacts.map((ref) => this.store.touch(ref)));
    return there.every(Boolean);
  }
}

const documentKey = ({ stage, key }: CacheSlot): string => `${PREFIX}${stage}/${key}`;
