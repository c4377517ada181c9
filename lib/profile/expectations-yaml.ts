import { stringify } from 'yaml';
import type { InferredRule } from './infer.ts';

/**
 * Proposed rules in the spec's own YAML, with what was seen as comments.
 *
 * @param about what the rules were inferred from, for the first line
 * @example
 * expectationsYaml([{ rule: { expect: 'not_null', column: 'id' }, seen: 'id: none missing' }], 'people.csv');
 * // # Proposed from people.csv. …
 * // expectations:
 * //   # id: none missing
 * //   - { expect: not_null, column: id }
 */
export function expectationsYaml(rules: readonly InferredRule[], about: string): string {
  const head = `# Proposed from ${oneLine(about)}. They hold on that data, with room for change: edit, then put them into the spec.\n`;
  if (rules.length === 0) return `${head}expectations: []\n`;
  return `${head}expectations:\n${rules
    .map(({ rule, seen }) => `  # ${oneLine(seen)}\n  - ${flow(rule)}\n`)
    .join('')}`;
}

const flow = (rule: Record<string, unknown>): string =>
  stringify(rule, { collectionStyle: 'flow', lineWidth: 0 }).trim();

/** A name with a line break would end the comment. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ');
