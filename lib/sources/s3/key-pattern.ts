/**
 * Object keys by a glob: `*` and `?` within a folder, `**` over folders. The time is bounded by the product of the
 * lengths: a pattern comes from a spec.
 */
export class KeyPattern {
  readonly #segments: readonly string[];
  /** Whether there is a wildcard at all; without one the pattern is a key. */
  readonly isGlob: boolean;
  /** What all matching keys begin with. */
  readonly prefix: string;

  constructor(readonly pattern: string) {
    this.#segments = pattern.split('/');
    const first = pattern.search(/[*?]/);
    this.isGlob = first >= 0;
    this.prefix = first < 0 ? pattern : pattern.slice(0, first);
  }

  matches(key: string): boolean {
    const parts = key.split('/');
    // How many parts the segments so far can take.
    let reachable = new Set([0]);
    for (const segment of this.#segments) {
      const next = new Set<number>();
      for (const taken of reachable) {
        if (segment === '**') for (let k = taken; k <= parts.length; k++) next.add(k);
        else if (taken < parts.length && matchesSegment(segment, parts[taken] ?? '')) next.add(taken + 1);
      }
      reachable = next;
    }
    return reachable.has(parts.length);
  }
}

/** The greedy match of wildcards: on a mismatch, the last `*` takes one character more. */
function matchesSegment(pattern: string, text: string): boolean {
  let p = 0;
  let star = -1;
  let restart = 0;
  for (let t = 0; t < text.length; ) {
    if (pattern[p] === '*') {
      star = p++;
      restart = t;
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++restart;
    } else return false;
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}
