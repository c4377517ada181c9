import type { AnonymityResult, PersonalFinding, PersonalKind, PrivacyVerdict } from '../contracts/privacy.ts';
import type { PrivacySpec } from '../contracts/spec/privacy.ts';

/** Kinds of personal data as people say them. */
export const KIND_WORDS: Record<PersonalKind, string> = {
  email: 'e-mail addresses',
  phone: 'phone numbers',
  iban: 'bank accounts (IBAN)',
  card: 'payment card numbers',
  national_id: 'national identification numbers',
  ip_address: 'IP addresses',
  date_of_birth: 'dates of birth',
  person_name: 'names of people',
  address: 'addresses',
};

/** A share that is never shown as none or all where it is neither. */
const percent = (share: number): string => {
  if (share > 0 && share < 0.001) return 'less than 0.1 %';
  if (share < 1 && share > 0.999) return 'more than 99.9 %';
  return `${Number((share * 100).toFixed(1))} %`;
};

/** One finding in words, without a value of the data. */
export function describeFinding(finding: PersonalFinding): string {
  const sure = finding.verified
    ? 'verified by checksum or format'
    : `likely (confidence ${finding.confidence.toFixed(2)})`;
  const where = finding.within === 'text' ? 'inside of ' : '';
  return `column ${finding.column} holds ${KIND_WORDS[finding.kind]} ${where ? `${where}${percent(finding.share)} of its texts` : `in ${percent(finding.share)} of its values`}, ${sure}: ${finding.evidence}`;
}

/**
 * What the spec's policy makes of findings. A declared column, whatever its action, never stops a run: somebody
 * decided about it.
 *
 * @example
 * judgeFindings(findings, spec.privacy).stop // ['column contact holds e-mail addresses in 98 % of its values, …']
 */
export function judgeFindings(
  findings: readonly PersonalFinding[],
  privacy: Pick<PrivacySpec, 'columns' | 'detection'>,
): PrivacyVerdict {
  const verdict: PrivacyVerdict = { stop: [], warn: [] };
  for (const finding of findings) {
    if (Object.hasOwn(privacy.columns, finding.column)) continue;
    if (finding.confidence < privacy.detection.minConfidence) continue;
    const policy = finding.verified ? privacy.detection.verified : privacy.detection.likely;
    if (policy === 'off') continue;
    verdict[policy].push(
      `${describeFinding(finding)}. Declare it under privacy.columns with an action, or as keep`,
    );
  }
  return verdict;
}

/** What the spec's policy makes of a measured k-anonymity; a table without rows says nothing about anybody. */
export function judgeAnonymity(
  result: AnonymityResult,
  kAnonymity: NonNullable<PrivacySpec['kAnonymity']>,
): PrivacyVerdict {
  const verdict: PrivacyVerdict = { stop: [], warn: [] };
  if (result.rows > 0 && result.k < kAnonymity.min)
    verdict[kAnonymity.onViolation].push(
      `privacy.kAnonymity: only ${result.k} row(s) share the rarest combination of ${result.quasiIdentifiers.join(', ')}, at least ${kAnonymity.min} are asked for; ${result.rowsBelow} of ${result.rows} rows (${percent(result.shareBelow)}) stand in ${result.classesBelow} of ${result.classes} combinations that are too small. Generalise these columns further, or drop one`,
    );
  return verdict;
}

/**
 * Columns that tell rows of people apart and nothing else once their action is done: they are no features unless
 * the spec names them as such.
 */
export const identifyingColumns = (privacy: Pick<PrivacySpec, 'columns'>): string[] =>
  Object.entries(privacy.columns)
    .filter(([, { action }]) => action === 'mask' || action === 'pseudonym')
    .map(([column]) => column);

/** Reasons that a message names at most. */
const MAX_REASONS = 20;

/** Reasons to stop as one message, a line each. */
export const refusalMessage = (reasons: readonly string[]): string =>
  [
    ...reasons.slice(0, MAX_REASONS),
    ...(reasons.length > MAX_REASONS ? [`and ${reasons.length - MAX_REASONS} more`] : []),
  ].join('\n');
