import { MAX_LABELS } from '../../contracts/rollout-evidence.ts';

/**
 * At most {@link MAX_LABELS} labels with a count of their own, the first by their letters; the others share `""`. By
 * the letters, and not by how frequent they are: so versions, processes and servers that have seen the same classes keep
 * the same of them, and a sum of cut counts is the cut of the sum.
 */
export function boundedLabels(counts: Readonly<Record<string, number>>): Record<string, number> {
  const labels = Object.keys(counts).filter((label) => label !== '');
  if (labels.length <= MAX_LABELS) return { ...counts };
  const own = labels.sort().slice(0, MAX_LABELS);
  const kept = new Set(own);
  let rest = 0;
  for (const [label, count] of Object.entries(counts)) if (!kept.has(label)) rest += count;
  return Object.fromEntries([...own.map((label) => [label, counts[label] ?? 0]), ['', rest]]);
}
