import { join } from 'node:path';
import { z } from 'zod';
import type { FoundRows, Unsearched } from '../../contracts/erasure.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { Person } from './person.ts';
import { personRows } from './person-rows.ts';
import type { PersonalStore, SearchTools, StorePlan } from './personal-store.ts';
import { rewriteWithout } from './rewrite.ts';
import { type CatalogueEntry, catalogueEntry, type MlflowCopy, RowCatalogue } from './row-catalogue.ts';
import { followRows, losesNothing, lostWith, parentsFirst, renumbered } from './row-positions.ts';
import { inFolder } from './search-folder.ts';

/** One artifact that is written anew, or whose entry in the catalogue is. */
const artifactStep = z.strictObject({
  /** As it stood when the plan was made. */
  entry: catalogueEntry,
  /** Rows counted from 0, ascending; `all`: nothing takes its place. */
  gone: z.union([z.array(z.number().int().nonnegative()), z.literal('all')]),
  /** Its `rowsOf` afterwards; the digests are those of before. */
  rowsOf: catalogueEntry.shape.rowsOf,
});
type ArtifactStep = z.infer<typeof artifactStep>;

/** Puts the new bytes of an artifact where a copy of the old ones lies; `null`: there are none. */
export type ReplaceCopy = (copy: MlflowCopy, replacement: ArtifactRef | null) => Promise<void>;

interface ArtifactPlan extends StorePlan {
  /** Whether an artifact holds the person; `undefined` where that is not known. */
  holds(sha256: string): boolean | undefined;
}

/**
 * The rows of people in the artifact store, as the catalogue knows them. A table with a column that identifies people
 * is looked through; what was made of it loses the rows at the same places. What is written anew takes the old one's
 * place: references of old runs lead to it.
 */
export class ArtifactRows implements PersonalStore {
  readonly name = 'artifacts';
  readonly #catalogue: RowCatalogue;

  constructor(
    private readonly store: ArtifactStore,
    private readonly replaceCopy: ReplaceCopy,
  ) {
    this.#catalogue = new RowCatalogue(store.documents);
  }

  async plan(person: Person, tools: SearchTools): Promise<ArtifactPlan> {
    const all = await this.#catalogue.all();
    const steps: ArtifactStep[] = [];
    const present = new Map<string, CatalogueEntry>();
    // What an erasure that broke off has replaced is finished; what the garbage collector took is left out.
    for (const [sha256, entry] of all)
      if (await this.store.erasures.of(sha256)) steps.push({ entry, gone: [], rowsOf: entry.rowsOf });
      else if (await this.store.has(entry.artifact)) present.set(sha256, entry);

    const { found, blocked } = await this.#search(present, person, tools);
    const verdicts = followRows(present, found, blocked);
    const findings = new Findings();
    for (const entry of parentsFirst(present)) {
      const verdict = verdicts.get(entry.artifact.sha256);
      if (!verdict || !person.concerns(entry.pipelines)) continue;
      if ('why' in verdict) {
        findings.unsearched(entry, verdict.why);
        continue;
      }
      const lostBy = (sha256: string): number[] => {
        const parent = verdicts.get(sha256);
        return parent && 'gone' in parent && parent.gone !== 'all' ? parent.gone : [];
      };
      const rowsOf = entry.rowsOf
        // What keeps rows that its table loses belongs to other tables alone from now on.
        .filter((link) => !losesNothing(verdict.gone) || losesNothing(lostWith(lostBy(link.sha256), link)))
        .map((link) => renumbered(link, lostBy(link.sha256)));
      if (!losesNothing(verdict.gone)) findings.found(entry, verdict.gone);
      // Where a table is written anew, what was made of it is told so, also where it keeps all of its rows.
      else if (entry.rowsOf.every(({ sha256 }) => lostBy(sha256).length === 0)) continue;
      steps.push({ entry, gone: verdict.gone, rowsOf });
    }
    const holds = (sha256: string): boolean | undefined => {
      const verdict = verdicts.get(sha256);
      return verdict === undefined || 'why' in verdict ? undefined : !losesNothing(verdict.gone);
    };
    const { found: rows, unsearched } = findings.lists();
    return { found: rows, unsearched: [...unsearched, ...(await this.#formerVersions())], steps, holds };
  }

  async #formerVersions(): Promise<Unsearched[]> {
    const places = await this.store.formerVersions();
    if (places === 0) return [];
    const why =
      'the bucket keeps versions of artifacts that the garbage collector deleted; expire noncurrent versions by a lifecycle rule of the bucket, then erase again';
    return [{ store: this.name, kind: 'former versions', places, pipelines: [], why }];
  }

  isCurrent(step: unknown): Promise<boolean> {
    const { entry } = artifactStep.parse(step);
    return this.#catalogue
      .of(entry.artifact.sha256)
      .then((now) => JSON.stringify(now) === JSON.stringify(entry));
  }

  async erase(step: unknown, certificate: string, tools: SearchTools): Promise<void> {
    const { entry, gone, rowsOf } = artifactStep.parse(step);
    const { artifact, copies } = entry;
    const { sha256 } = artifact;
    if (!(await this.store.finishErasure(sha256))) {
      const fitting = { ...entry, rowsOf: await this.#nowInForce(rowsOf) };
      if (losesNothing(gone)) return this.#catalogue.replace(fitting);
      if (!(await this.store.has(artifact))) return this.#catalogue.remove(sha256);
      const replacement = await this.#rewritten(entry, gone, tools);
      // Somebody else finishes the same plan, and was faster.
      if (replacement === undefined) return this.erase(step, certificate, tools);
      // First: what takes the place of something is known from its first moment on. A page then shows no rows.
      if (replacement && entry.format !== 'page')
        await this.#catalogue.put({ ...fitting, artifact: replacement });
      // Without a column that identifies people the same bytes may come of other rows, too.
      await this.store.replace(sha256, replacement, { certificate, mayReturn: entry.subject.length === 0 });
    } else if (!(await this.#catalogue.of(sha256))) return;
    if (copies.length > 0) {
      const inForce = await this.store.resolve(artifact).catch(unlessErased);
      for (const copy of copies) await this.replaceCopy(copy, inForce);
    }
    await this.#catalogue.remove(sha256);
  }

  /** One table after the other, each in a folder of its own: the decrypted ones together would not fit on the disk. */
  async #search(
    entries: ReadonlyMap<string, CatalogueEntry>,
    person: Person,
    tools: SearchTools,
  ): Promise<{ found: Map<string, number[]>; blocked: Map<string, string> }> {
    const found = new Map<string, number[]>();
    const blocked = new Map<string, string>();
    for (const [sha256, entry] of entries) {
      tools.signal.throwIfAborted();
      if (entry.subject.length === 0 || !person.concerns(entry.pipelines)) continue;
      const columns = person.columnsOf(entry.subject);
      try {
        const rows =
          columns.length === 0
            ? []
            : await inFolder(tools, async (folder) => {
                const path = await this.store.within(folder).path(entry.artifact);
                return personRows(tools.database, path, columns, person);
              });
        found.set(sha256, rows);
      } catch (error) {
        if (!(error instanceof PerennialError) || error.retryable) throw error;
        blocked.set(sha256, error.message);
      }
      tools.progress(found.size + blocked.size);
    }
    return { found, blocked };
  }

  /** @returns `undefined` where it was erased meanwhile: what was read may have taken its place already */
  async #rewritten(
    { artifact, format, subject }: CatalogueEntry,
    gone: ArtifactStep['gone'],
    tools: SearchTools,
  ): Promise<ArtifactRef | null | undefined> {
    if (gone === 'all') return null;
    const isRaw = subject.some(({ key }) => key === undefined);
    const encrypt = isRaw || (await this.store.isEncrypted(artifact));
    return inFolder(tools, async (folder) => {
      const store = this.store.within(folder, { encrypt });
      const target = join(folder, 'rewritten');
      await rewriteWithout(format, {
        database: tools.database,
        source: await store.path(artifact),
        target,
        gone,
      });
      if (await this.store.erasures.of(artifact.sha256)) return undefined;
      return store.putFile(target, artifact.mediaType);
    });
  }

  /** The same rows of what took the place of the tables; what nothing took the place of is left out. */
  async #nowInForce(rowsOf: CatalogueEntry['rowsOf']): Promise<CatalogueEntry['rowsOf']> {
    const links: CatalogueEntry['rowsOf'] = [];
    for (const link of rowsOf) {
      const erased = await this.store.erasures.of(link.sha256);
      if (erased?.replacement !== null)
        links.push(erased ? { ...link, sha256: erased.replacement.sha256 } : link);
    }
    return links;
  }
}

/** Nothing took the place of an artifact. */
function unlessErased(error: unknown): null {
  if (error instanceof PerennialError && error.code === 'ArtifactErased') return null;
  throw error;
}

/** Counts by kind and pipelines. */
class Findings {
  readonly #found = new Map<string, FoundRows>();
  readonly #unsearched = new Map<string, Unsearched>();

  found({ kinds, pipelines }: CatalogueEntry, gone: ArtifactStep['gone']): void {
    const what = { store: 'artifacts', kind: kinds.join(', '), pipelines };
    const key = JSON.stringify(what);
    const known = this.#found.get(key) ?? { ...what, places: 0, rows: 0 };
    // Nothing can be said of the rows of what goes as a whole.
    const rows = gone === 'all' ? 0 : gone.length;
    this.#found.set(key, { ...known, places: known.places + 1, rows: known.rows + rows });
  }

  unsearched({ kinds, pipelines }: CatalogueEntry, why: string): void {
    const what = { store: 'artifacts', kind: kinds.join(', '), pipelines, why };
    const key = JSON.stringify(what);
    const known = this.#unsearched.get(key) ?? { ...what, places: 0 };
    this.#unsearched.set(key, { ...known, places: known.places + 1 });
  }

  lists(): { found: FoundRows[]; unsearched: Unsearched[] } {
    return { found: [...this.#found.values()], unsearched: [...this.#unsearched.values()] };
  }
}
