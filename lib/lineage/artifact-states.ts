import type { ArtifactState } from '../../contracts/lineage.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { Erasure } from '../store/erasures.ts';

/**
 * What became of artifacts: whether they are stored, and what erasures put in their place. Reads the list of erasures
 * once.
 *
 * @example const [state] = await artifactStates(store, [snapshot.sha256]);
 */
export async function artifactStates(
  store: Pick<ArtifactStore, 'holds'> & { erasures: Pick<ArtifactStore['erasures'], 'all'> },
  digests: readonly string[],
): Promise<ArtifactState[]> {
  const erased = new Map<string, Erasure>();
  const before = new Map<string, string[]>();
  for await (const { sha256, ...erasure } of store.erasures.all()) {
    erased.set(sha256, erasure);
    const to = erasure.replacement?.sha256;
    if (to !== undefined) before.set(to, [...(before.get(to) ?? []), sha256]);
  }
  const states: ArtifactState[] = [];
  for (const sha256 of new Set(digests)) {
    const { inForce, certificates } = followed(sha256, erased);
    states.push({
      sha256,
      stored: inForce !== null && (await store.holds(inForce)),
      inForce,
      certificates,
      formerly: formerOf(sha256, before),
    });
  }
  return states;
}

/** The last one of a chain of erasures; a chain that runs in a circle ends where it began. */
function followed(
  sha256: string,
  erased: ReadonlyMap<string, Erasure>,
): Pick<ArtifactState, 'inForce' | 'certificates'> {
  const certificates: string[] = [];
  const seen = new Set<string>();
  let current = sha256;
  for (let found = erased.get(current); found && !seen.has(current); found = erased.get(current)) {
    seen.add(current);
    certificates.push(found.certificate);
    if (found.replacement === null) return { inForce: null, certificates };
    current = found.replacement.sha256;
  }
  return { inForce: current, certificates };
}

/** All that led to an artifact, over any number of erasures. */
function formerOf(sha256: string, before: ReadonlyMap<string, readonly string[]>): string[] {
  const found = new Set<string>();
  const open = [sha256];
  for (let next = open.pop(); next !== undefined; next = open.pop())
    for (const former of before.get(next) ?? [])
      if (former !== sha256 && !found.has(former)) {
        found.add(former);
        open.push(former);
      }
  return [...found].sort();
}
