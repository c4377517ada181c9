import { isIP } from 'node:net';
import type { Candidate } from './checked-values.ts';
import type { ColumnSample } from './column-sample.ts';
import { says } from './column-words.ts';

const WORDS: readonly string[] = [
  'ip',
  'ipaddress',
  'ipaddr',
  'ipv',
  'clientip',
  'remoteaddr',
  'remoteip',
  'hostip',
  'sourceip',
];
const LOOKED_AT = 2_000;
/** Greatest part of versions of software in practice; four parts make both. */
const VERSION_PART = 60;

const isVersionLike = (text: string): boolean =>
  text.split('.').every((part) => Number(part) <= VERSION_PART);

/** IP addresses of version 4 and 6. They point at a household or at a server: never verified. */
export function ipFindings(sample: ColumnSample, words: ReadonlySet<string>): Candidate[] {
  if (sample.family !== 'text') return [];
  const looked = sample.values.slice(0, LOOKED_AT);
  const addresses = looked.filter(({ text }) => isIP(text) !== 0);
  if (addresses.length === 0) return [];
  const rows = (list: typeof looked): number => list.reduce((sum, value) => sum + value.rows, 0);
  const share = rows(addresses) / rows(looked);
  const named = says(words, WORDS);
  const versions = addresses.filter(({ text }) => isIP(text) === 4 && isVersionLike(text)).length;
  if (share < (named ? 0.2 : 0.5) || (!named && versions > addresses.length / 2)) return [];
  return [
    {
      finding: {
        column: sample.name,
        kind: 'ip_address',
        confidence: named ? 0.99 : 0.9,
        share,
        verified: false,
        within: 'value',
        evidence: `${addresses.length} of ${looked.length} distinct values are IP addresses`,
      },
      bits: 0,
    },
  ];
}
