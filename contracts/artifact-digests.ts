/** The digests of all artifact references inside a value, however deep. */
export function artifactDigests(value: unknown): string[] {
  const found = new Set<string>();
  const walk = (inner: unknown): void => {
    if (Array.isArray(inner)) inner.forEach(walk);
    else if (typeof inner === 'object' && inner !== null) {
      if ('uri' in inner && 'sha256' in inner && typeof inner.sha256 === 'string') found.add(inner.sha256);
      Object.values(inner).forEach(walk);
    }
  };
  walk(value);
  return [...found].sort();
}
