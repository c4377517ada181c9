import { type ReferenceProfile, referenceProfile } from '../../contracts/monitoring-reference.ts';
import { artifactRef } from '../../contracts/refs.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { sha256Of } from '../store/digest.ts';
import { type Documents, documentsBelow } from '../store/documents.ts';
import { MONITORING } from './monitor-records.ts';

const PREFIX = `${MONITORING}references/`;
/** Raised where references that were made before are none any more. */
const CODE = 2;

/** What windows are held against: one for each version and way of watching, made once and kept in the store. */
export class References {
  readonly #documents: Documents;

  /** @param store encrypts what it is given */
  constructor(private readonly store: ArtifactStore) {
    this.#documents = store.documents;
  }

  /**
   * @param identity all that a reference depends on
   * @param make makes it where there is none, or where it is gone
   * @param keep whether it is whole, and the same the next time
   */
  async get(
    endpoint: string,
    identity: readonly unknown[],
    make: () => Promise<ReferenceProfile>,
    keep = true,
  ): Promise<ReferenceProfile> {
    const key = `${PREFIX}${endpoint}/${sha256Of(JSON.stringify([CODE, ...identity]))}`;
    const known = await this.#documents.read(key);
    if (known) {
      const ref = artifactRef.parse(known.value);
      if (await this.store.has(ref)) return referenceProfile.parse(await this.store.json(ref));
    }
    const reference = await make();
    if (keep) await this.#documents.write(key, await this.store.putJson(reference));
    return reference;
  }

  /** Forgets all of them: the next windows make them anew, of the rows as they are then. */
  async forget(): Promise<void> {
    for await (const { key, value } of documentsBelow(this.#documents, PREFIX)) {
      const ref = artifactRef.safeParse(value);
      await this.#documents.remove(key);
      if (ref.success) await this.store.remove(ref.data.sha256, { untouchedSince: Number.POSITIVE_INFINITY });
    }
  }
}
