import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { type ArtifactRef, artifactRef } from '../../contracts/refs.ts';
import { type Documents, documentsBelow } from './documents.ts';

const erasure = z.strictObject({
  /** What took the place of the artifact; `null` where nothing did. */
  replacement: artifactRef.nullable(),
  /** Number of the certificate of erasure; no personal data. */
  certificate: z.string().min(1).max(200),
  /** Whether the same bytes may be stored again; they are this artifact again then. */
  mayReturn: z.boolean().default(false),
  /** ISO time. */
  at: z.string(),
});
/** What became of an artifact that held a person who was erased. */
export type Erasure = z.infer<typeof erasure>;

const PREFIX = 'erased/';
/** A person after another may be taken out of the same rows; more often than this is a circle. */
const MOST_HOPS = 1_000;

/** Documents `erased/<digest>`: which artifacts were erased, and what took their place. */
export class Erasures {
  constructor(private readonly documents: Documents) {}

  /** What became of an artifact; `undefined` where it was not erased. */
  async of(sha256: string): Promise<Erasure | undefined> {
    const found = await this.documents.read(PREFIX + sha256);
    return found && erasure.parse(found.value);
  }

  /**
   * The artifact that stands for another one now, over any number of erasures.
   *
   * @returns `undefined` where it was not erased
   * @throws PerennialError `ArtifactErased` where nothing took its place
   */
  async successor(sha256: string): Promise<ArtifactRef | undefined> {
    let current: ArtifactRef | undefined;
    for (let hop = 0; hop < MOST_HOPS; hop++) {
      const found = await this.of(current?.sha256 ?? sha256);
      if (!found) return current;
      if (found.replacement === null)
        throw new PerennialError(
          'ArtifactErased',
          `artifact cas:${sha256} was erased (certificate ${found.certificate}) and nothing took its place; run the pipeline again from its sources`,
        );
      current = found.replacement;
    }
    throw new PerennialError('ArtifactCorrupt', `the erasures of artifact cas:${sha256} run in a circle`);
  }

  /**
   * Writes down that an artifact is erased. The same once more changes nothing.
   *
   * @throws PerennialError `InputInvalid` where it was erased already and something else took its place, or where it
   *   would stand for itself
   */
  async record(
    sha256: string,
    replacement: ArtifactRef | null,
    certificate: string,
    mayReturn = false,
  ): Promise<Erasure> {
    if (replacement && ((await this.successor(replacement.sha256)) ?? replacement).sha256 === sha256)
      throw new PerennialError('InputInvalid', `artifact cas:${sha256} cannot take its own place`);
    const entry = erasure.parse({ replacement, certificate, mayReturn, at: new Date().toISOString() });
    const key = PREFIX + sha256;
    if ((await this.documents.write(key, entry, { ifVersion: null })) !== undefined) return entry;
    const found = await this.of(sha256);
    if (found && found.replacement?.sha256 === replacement?.sha256) return found;
    throw new PerennialError(
      'InputInvalid',
      `artifact cas:${sha256} was erased already (certificate ${found?.certificate}); erase what took its place`,
    );
  }

  /**
   * Lets bytes be stored again that came of other rows this time.
   *
   * @returns whether they may; `false` also where they were never erased
   */
  async release(sha256: string): Promise<boolean> {
    if (!(await this.of(sha256))?.mayReturn) return false;
    await this.documents.remove(PREFIX + sha256);
    return true;
  }

  /**
   * What took the place of what, read once.
   *
   * @returns a function that gives digests and all that stands for them, over any number of erasures
   */
  async followed(): Promise<(digests: Iterable<string>) => Set<string>> {
    const next = new Map<string, string>();
    for await (const { sha256, replacement } of this.all())
      if (replacement) next.set(sha256, replacement.sha256);
    return (digests) => {
      const found = new Set<string>();
      for (const digest of digests)
        for (let at: string | undefined = digest; at !== undefined && !found.has(at); at = next.get(at))
          found.add(at);
      return found;
    };
  }

  /** Digests of all erased artifacts. */
  async *digests(): AsyncGenerator<string> {
    for await (const key of this.documents.keys(PREFIX)) yield key.slice(PREFIX.length);
  }

  /** All erasures, for a list of certificates. */
  async *all(): AsyncGenerator<Erasure & { sha256: string }> {
    for await (const { key, value } of documentsBelow(this.documents, PREFIX))
      yield { sha256: key.slice(PREFIX.length), ...erasure.parse(value) };
  }
}
