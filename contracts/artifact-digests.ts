import { type ArtifactRef, artifactRef } from './refs.ts';

/** The digests of all artifact references inside a value, however deep. */
export function artifactDigests(value: unknown): string[] {
  const found = new Set<string>();
  walk(value, ({ sha256 }) => found.add(sha256));
  return [...found].sort();
}

/** All artifact references inside a value, however deep; each digest once. */
export function artifactRefs(value: unknown): ArtifactRef[] {
  const found = new Map<string, ArtifactRef>();
  walk(value, (candidate) => {
    const ref = artifactRef.safeParse(candidate);
    if (ref.success) found.set(ref.data.sha256, ref.data);
  });
  return [...found.values()].sort((a, b) => (a.sha256 < b.sha256 ? -1 : 1));
}

function walk(value: unknown, visit: (ref: { uri: unknown; sha256: string }) => void): void {
  if (Array.isArray(value)) for (const inner of value) walk(inner, visit);
  else if (typeof value === 'object' && value !== null) {
    if ('uri' in value && 'sha256' in value && typeof value.sha256 === 'string')
      visit({ ...value, uri: value.uri, sha256: value.sha256 });
    for (const inner of Object.values(value)) walk(inner, visit);
  }
}
