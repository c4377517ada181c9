import { MAX_FINDINGS, type PersonalFinding } from '../../contracts/privacy.ts';
import type { TableRef } from '../../contracts/refs.ts';
import type { Database } from '../duckdb/database.ts';
import { birthFindings } from './detection/birth-dates.ts';
import { type Candidate, checkedFindings, comparedSample } from './detection/checked-values.ts';
import { allChecks, type Check } from './detection/checks.ts';
import { type ColumnSample, sampleColumns } from './detection/column-sample.ts';
import { columnWords } from './detection/column-words.ts';
import { freeTextFindings } from './detection/free-text.ts';
import { ipFindings } from './detection/ip-addresses.ts';
import { peopleFindings } from './detection/people.ts';
import { phoneFindings } from './detection/phones.ts';
import { placeFindings } from './detection/places.ts';

/** Options of {@link detectPersonal}. */
export interface DetectOptions {
  /** Findings below it are left out; default 0.2. `privacy.detection.minConfidence` is asked by the judge. */
  minConfidence?: number;
}

/** Kinds that are digits and can be taken for each other. */
const DIGITS = new Set(['card', 'national_id', 'phone']);

/**
 * Looks for personal data in every column, declared or not: over names of columns, counts of all rows, a
 * deterministic sample of distinct values, and all rows of long texts for what stands inside of them.
 *
 * Verified are e-mail addresses, phone numbers, IBANs, cards and national ids that pass their checksum or format far
 * more often than chance would (`detection/likelihood.ts`); names, addresses, dates of birth and IP addresses are
 * likely at best. Findings hold no value of the data.
 *
 * @param relation an SQL relation
 * @returns at most one finding of a kind for each column, the surest first, at most {@link MAX_FINDINGS}
 * @example
 * const findings = await detectPersonal(database, 'people', await database.columns('people'));
 * const { stop, warn } = judgeFindings(findings, spec.privacy);
 */
export async function detectPersonal(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
  { minConfidence = 0.2 }: DetectOptions = {},
): Promise<PersonalFinding[]> {
  const checks = await allChecks();
  const findings: PersonalFinding[] = [];
  // One column at a time, and between them the event loop has its turn: heartbeats go out of wide tables too.
  for await (const sample of sampleColumns(database, relation, columns))
    findings.push(...columnFindings(sample, checks));
  return findings
    .filter((finding) => finding.confidence >= minConfidence)
    .sort((a, b) => Number(b.verified) - Number(a.verified) || b.confidence - a.confidence)
    .slice(0, MAX_FINDINGS);
}

function columnFindings(sample: ColumnSample, checks: readonly Check[]): PersonalFinding[] {
  if (sample.present === 0 && !sample.years) return [];
  const words = columnWords(sample.name);
  const ready = comparedSample(sample);
  const candidates = [
    ...checks.flatMap((check) => checkedFindings(ready, check, words)),
    ...phoneFindings(sample, words),
    ...ipFindings(sample, words),
    ...birthFindings(sample, words),
    ...placeFindings(sample, words),
    ...peopleFindings(sample, words),
    ...freeTextFindings(sample),
  ];
  const best = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const group = DIGITS.has(candidate.finding.kind) ? 'digits' : candidate.finding.kind;
    const before = best.get(group);
    if (before === undefined || isBetter(candidate, before)) best.set(group, candidate);
  }
  const findings = [...best.values()].map(({ finding }) => ({
    ...finding,
    confidence: rounded(finding.confidence),
    share: rounded(finding.share),
  }));
  // What is verified explains the column; guesses beside it are noise.
  if (findings.some((finding) => finding.verified && finding.within === 'value' && finding.share >= 0.5))
    return findings.filter((finding) => finding.verified);
  // Streets are named after people: what looks like names inside of addresses is none.
  return findings.some(({ kind, within }) => kind === 'address' && within === 'value')
    ? findings.filter(({ kind, within }) => kind !== 'person_name' || within === 'value')
    : findings;
}

/** Verified before likely, then the one that more of the values pass, then the one that chance explains least. */
const isBetter = (a: Candidate, b: Candidate): boolean =>
  (Number(a.finding.verified) - Number(b.finding.verified) ||
    Math.round((a.finding.share - b.finding.share) * 10) ||
    a.bits - b.bits) > 0;

/** Four digits, and never 0 for what is more. */
const rounded = (value: number): number => (value > 0 ? Math.max(0.0001, Number(value.toFixed(4))) : 0);
