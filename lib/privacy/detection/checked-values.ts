import type { PersonalFinding } from '../../../contracts/privacy.ts';
import type { Check } from './checks.ts';
import type { ColumnSample, SampledValue } from './column-sample.ts';
import { says } from './column-words.ts';
import { type Likelihood, likelihood, RARE } from './likelihood.ts';
import { withoutSeparators } from './template.ts';

/** Values of a shape that decide whether more are looked at, and values at the most. */
const FIRST = 200;
const MOST = 1_000;

/** Least share of a shape among values for checks that chance passes, where nothing else speaks for it. */
const LEAST_SHARE = 0.3;

/** Least share of a shape among numbers that are as long: ranges of issuers are a third of all numbers. */
const LEAST_IN_RANGE = 0.8;

/** A finding with what decides between two readings of the same digits. */
export interface Candidate {
  finding: PersonalFinding;
  bits: number;
}

interface Tried extends Likelihood {
  tried: number;
  passed: number;
  /** Rows of values that passed, among rows of values that were tried. */
  passedRows: number;
  triedRows: number;
}

/** A value with itself in capitals and without separators. */
export interface ComparedValue extends SampledValue {
  compact: string;
}

/** Longest value that any check takes for a whole: an e-mail address. */
const LONGEST = 254;

/** Values that are short enough to be one thing, made ready for all checks. */
const compared = (values: readonly SampledValue[]): ComparedValue[] =>
  values
    .filter(({ text }) => text.length <= LONGEST)
    .map(({ text, rows }) => ({ text, rows, compact: withoutSeparators(text).toUpperCase() }));

function tryAll(check: Check, values: readonly ComparedValue[], named: boolean): Tried | undefined {
  const shaped: { compact: string; rows: number }[] = [];
  let [allRows, alikeRows, shapedRows, writtenCount] = [0, 0, 0, 0];
  for (const { text, compact, rows } of values) {
    allRows += rows;
    if (check.alike?.(compact)) alikeRows += rows;
    const form = check.shaped(text, compact);
    if (form === undefined) continue;
    shaped.push({ compact: form, rows });
    shapedRows += rows;
    if (check.written(text)) writtenCount++;
  }
  if (shaped.length === 0) return undefined;
  const written = writtenCount >= shaped.length / 2;
  // Of identifiers of all kinds a few have the shape of any other: they say nothing of the column.
  if (check.chance > RARE && !named && !written && shapedRows < LEAST_SHARE * allRows) return undefined;
  if (check.weak && !named && !(written && check.writtenChance !== undefined)) return undefined;
  if (!named && shapedRows < LEAST_IN_RANGE * alikeRows) return undefined;
  // Where the check proves nothing, its written form alone does neither: all of many have to pass.
  const chance =
    written && (named || !check.weak) && check.writtenChance !== undefined
      ? check.writtenChance
      : check.chance;
  const result: Tried = { ...NOTHING, tried: 0, passed: 0, passedRows: 0, triedRows: 0 };
  for (const value of shaped.slice(0, MOST)) {
    if (result.tried === FIRST && decide(result, chance, named || written).confidence === 0) break;
    result.tried++;
    result.triedRows += value.rows;
    if (!check.passes(value.compact)) continue;
    result.passed++;
    result.passedRows += value.rows;
  }
  Object.assign(result, decide(result, chance, named || written));
  // What was tried stands for all of the shape.
  result.passedRows *= shapedRows / result.triedRows;
  return result;
}

const NOTHING: Likelihood = { bits: 0, real: 0, confidence: 0, verified: false };
const decide = ({ tried, passed }: Tried, chance: number, hinted: boolean): Likelihood =>
  likelihood({ tried, passed, chance, hinted });

const evidence = (check: Check, tried: Tried, what: string): string =>
  `${tried.passed} of ${tried.tried} distinct ${what} of the shape pass as ${check.label}, by ${check.by}`.slice(
    0,
    240,
  );

/** A column with its values and needles made ready. */
export interface ComparedSample extends Pick<ColumnSample, 'name' | 'present' | 'sampledRows'> {
  whole: ComparedValue[];
  mails: ComparedValue[];
  digits: ComparedValue[];
  capitals: ComparedValue[];
}

export const comparedSample = (sample: ColumnSample): ComparedSample => ({
  name: sample.name,
  present: sample.present,
  sampledRows: sample.sampledRows,
  whole: compared(sample.values),
  mails: compared(sample.emails.values),
  digits: compared(sample.numbers.values),
  capitals: compared(sample.codes.values),
});

/** What one check says of whole values and of what stands inside of texts. */
export function checkedFindings(
  sample: ComparedSample,
  check: Check,
  words: ReadonlySet<string>,
): Candidate[] {
  const named = says(words, check.words);
  const share = (rows: number, of: number): number => (of === 0 ? 0 : Math.min(1, rows / of));
  const found = (tried: Tried, within: PersonalFinding['within'], part: number): Candidate => ({
    finding: {
      column: sample.name,
      kind: check.kind,
      confidence: tried.confidence,
      share: part,
      verified: tried.verified,
      within,
      evidence: evidence(check, tried, within === 'value' ? 'values' : 'parts of texts'),
    },
    bits: tried.bits,
  });
  const whole = tryAll(check, sample.whole, named);
  const candidates =
    whole && whole.confidence > 0 ? [found(whole, 'value', share(whole.passedRows, sample.sampledRows))] : [];
  const needles = check.kind === 'email' ? [sample.mails] : [sample.digits, sample.capitals];
  for (const values of needles) {
    const inside = tryAll(check, values, named);
    if (!inside || inside.confidence === 0) continue;
    const part = share(inside.passedRows, sample.present);
    // Where most stand alone, that says it all.
    if (!whole || whole.confidence === 0 || share(whole.passedRows, sample.sampledRows) < part / 2)
      candidates.push(found(inside, 'text', part));
  }
  return candidates;
}
