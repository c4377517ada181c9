/** Offset basis and prime of FNV-1a (Fowler, Noll, Vo), 32 bits. */
const FNV = { basis: 0x811c9dc5, prime: 0x01000193 } as const;

/**
 * Where a request stands among all, from 0 up to, not including, 1: FNV-1a of its id, mixed by the finaliser of
 * MurmurHash3, since ids that are counted differ in their last letters alone. The same in every process.
 */
export function samplePoint(requestId: string): number {
  let hash: number = FNV.basis;
  for (let i = 0; i < requestId.length; i++) hash = Math.imul(hash ^ requestId.charCodeAt(i), FNV.prime);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
