import {
  type CountryCode,
  getCountries,
  isValidPhoneNumber,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max';
import type { Candidate } from './checked-values.ts';
import type { ColumnSample, SampledValue } from './column-sample.ts';
import { says } from './column-words.ts';
import { likelihood } from './likelihood.ts';

/**
 * Countries whose ways of writing a number without its country are tried, each with an upper bound of the share of
 * random digits that are valid there; a test measures it.
 */
export const COUNTRY_CHANCES: Partial<Record<CountryCode, number>> = {
  US: 0.4,
  GB: 0.35,
  DE: 0.85,
  FR: 0.15,
  ES: 0.06,
  IT: 0.25,
  BR: 0.4,
  NL: 0.12,
  JP: 0.2,
  IN: 0.68,
  AU: 0.12,
  SE: 0.25,
  PL: 0.12,
  CH: 0.08,
  MX: 0.55,
  CN: 0.45,
};
const WORDS: readonly string[] = [
  'phone',
  'phones',
  'tel',
  'telephone',
  'telefon',
  'telefono',
  'telefone',
  'teléfono',
  'mobile',
  'cell',
  'cellphone',
  'handy',
  'celular',
  'cellulare',
  'movil',
  'portable',
  'fax',
  'msisdn',
  'phonenumber',
  'mobilenumber',
  'whatsapp',
  '電話',
  '電話番号',
  '携帯',
  '手机',
  '电话',
];
/** Digits of a telephone number (ITU-T E.164: at most 15), with what people write between them. */
const SHAPE = /^\+?\(?\d[\d ().\-/]{4,22}\d(?: ?(?:x|ext\.?) ?\d{1,6})?$/;
/** A number, a date, a time, an address of a machine or a postal code of the US: digits with dots and dashes are many things. */
const OTHER =
  /^-?\d+(?:\.\d+)?$|^\d{4}-\d{1,2}-\d{1,2}|^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b|^(?:\d{1,3}\.){3}\d{1,3}$|^\d{5}-\d{4}$/;
/** Written as telephone numbers are: in brackets, from a zero in groups, or 3-3-4. */
const WRITTEN =
  /^\(0?\d{1,5}\)[ \-/]?\d|^0\d{1,5}[ ()\-/.]+\d|^(?:1[-. ])?\d{3}[-. ]\d{3}[-. ]\d{4}(?: ?(?:x|ext\.?) ?\d+)?$/;
/** In brackets or with an extension: nothing but telephone numbers is written so. */
const PHONE_ONLY = /^\(0?\d{1,5}\)|\d ?(?:x|ext\.?) ?\d{1,6}$/;
/**
 * Countries that write a number in groups without a zero in front, each with an upper bound of the share of random
 * digits in these groups that are valid there; a test measures it.
 */
export const GROUPED_CHANCES: Partial<Record<CountryCode, number>> = {
  PT: 0.22,
  DK: 0.75,
  NO: 0.6,
  CZ: 0.5,
  ES: 0.38,
  PL: 0.75,
  HU: 0.75,
};
const INTERNATIONAL = /^(?:\+|00)[1-9]/;
const LEAST_SHARE = 0.4;
const FIRST = 40;
const MOST = 300;
/** Confidence at most of what is a guess at a country by digits that could be a code. */
const GUESS = 0.7;
/** Distinct values that it takes to go by the form alone. */
const LEAST_WRITTEN = 20;
/** Upper bound of the share of random digits after a plus that have the right length for their country. */
export const CHANCE_INTERNATIONAL = 0.45;

const digitsOf = (text: string): number => text.replace(/ ?(?:x|ext\.?) ?\d+$/, '').replace(/\D/g, '').length;
const isShaped = (text: string): boolean => {
  const digits = digitsOf(text);
  return digits >= 7 && digits <= 15 && SHAPE.test(text);
};

const valid = (text: string, country?: CountryCode): boolean =>
  isValidPhoneNumber(text.startsWith('00') ? `+${text.slice(2)}` : text, country);

/** A number after a plus: new ranges are younger than any list, so that the right length will do. */
const possibleAnywhere = (text: string): boolean =>
  parsePhoneNumberFromString(text.startsWith('00') ? `+${text.slice(2)}` : text)?.isPossible() ?? false;

type Tester = (text: string, country: CountryCode) => boolean;

interface Group {
  values: readonly SampledValue[];
  test: (text: string) => boolean;
  chance: number;
  hinted: boolean;
  how: string;
  /** Whether it can be a code that happens to be valid: likely at best. */
  guess?: boolean;
}

const grouped = (text: string): string => text.replace(/[ .\-/]+/g, ' ');

/** Whether a number is valid in a country and stands in the groups in which it is written there. */
export function isGrouped(text: string, country: CountryCode): boolean {
  const parsed = parsePhoneNumberFromString(text, country);
  return parsed?.isValid() === true && grouped(parsed.formatNational()) === grouped(text);
}

/** One form for all values is that of a code; people write telephone numbers in several, or in brackets. */
function isVaried(values: readonly SampledValue[]): boolean {
  const forms = new Map<string, number>();
  for (const { text } of values) {
    const form = text.replace(/\d/g, '#');
    forms.set(form, (forms.get(form) ?? 0) + 1);
  }
  const frequent = [...forms.values()].filter((count) => count >= values.length / 10).length;
  return frequent >= 2 || values.filter(({ text }) => PHONE_ONLY.test(text)).length >= values.length / 2;
}

/** The country in which the first values are valid most beyond chance. */
function bestCountry(
  values: readonly SampledValue[],
  test: Tester,
  chances: Partial<Record<CountryCode, number>> = COUNTRY_CHANCES,
): { country: CountryCode; chance: number } {
  const few = values.slice(0, FIRST);
  let best: { country: CountryCode; chance: number; bits: number } = { country: 'US', chance: 0.4, bits: -1 };
  for (const country of getCountries()) {
    const chance = chances[country];
    if (chance === undefined) continue;
    const passed = few.filter(({ text }) => test(text, country)).length;
    const { bits } = likelihood({ tried: few.length, passed, chance, hinted: true });
    if (bits > best.bits) best = { country, chance, bits };
  }
  return best;
}

/** Telephone numbers: by the numbering plan of their country (libphonenumber), and by how they are written. */
export function phoneFindings(sample: ColumnSample, words: ReadonlySet<string>): Candidate[] {
  const named = says(words, WORDS);
  const shaped = sample.values.filter(({ text }) => isShaped(text));
  const international = shaped.filter(
    ({ text }) => INTERNATIONAL.test(text) && (named || text.startsWith('+')),
  );
  const national = shaped.filter(
    ({ text }) =>
      !INTERNATIONAL.test(text) &&
      (named ? !/^\d{4}-\d\d-\d\d/.test(text) : !OTHER.test(text) && WRITTEN.test(text)),
  );
  const groups: Group[] = [];
  if (international.length > 0)
    groups.push({
      values: international,
      test: possibleAnywhere,
      chance: CHANCE_INTERNATIONAL,
      hinted: true,
      how: 'numbers with the code of a country are possible there',
    });
  const rows = (list: readonly SampledValue[]): number => list.reduce((sum, value) => sum + value.rows, 0);
  // Among codes of all forms a few are written like telephone numbers.
  if (national.length > 0 && (named || rows(national) >= LEAST_SHARE * sample.sampledRows)) {
    // In a column that is named so, what is written like a number is one: new ranges are younger than any list.
    const test: Tester = (text, country) => (named && WRITTEN.test(text)) || valid(text, country);
    const { country, chance } = bestCountry(national, test);
    groups.push({
      values: national,
      test: (text) => test(text, country),
      chance,
      hinted: named,
      guess: !named && !isVaried(national),
      how: `numbers are ${named ? 'written as telephone numbers or ' : ''}valid in ${country}`,
    });
  }
  const candidates = groups.flatMap((group) => judge(sample, group));
  if (candidates.length === 0) return [...byForm(sample, shaped), ...inText(sample)].slice(0, 1);
  const share = Math.min(
    1,
    candidates.reduce((sum, { finding }) => sum + finding.share, 0),
  );
  const best = candidates.reduce((a, b) => (b.finding.share > a.finding.share ? b : a));
  return [{ ...best, finding: { ...best.finding, share } }];
}

/** Whole values that no plan of a country explains: by groups of a country without a zero, or by the form alone. */
function byForm(sample: ColumnSample, shaped: readonly SampledValue[]): Candidate[] {
  const rows = (list: readonly SampledValue[]): number => list.reduce((sum, value) => sum + value.rows, 0);
  const values = shaped.filter(({ text }) => !OTHER.test(text) && !text.startsWith('+'));
  if (values.length === 0 || rows(values) < LEAST_SHARE * sample.sampledRows) return [];
  const { country, chance } = bestCountry(values, isGrouped, GROUPED_CHANCES);
  const found = judge(sample, {
    values,
    test: (text) => isGrouped(text, country),
    chance,
    hinted: false,
    guess: true,
    how: `numbers are valid in ${country} and written in its groups`,
  });
  if (found.length > 0) return found;
  const held = values.filter(({ text }) => WRITTEN.test(text));
  const only = values.filter(({ text }) => PHONE_ONLY.test(text));
  if (held.length < Math.max(LEAST_WRITTEN, 0.8 * values.length) || only.length < 0.3 * values.length)
    return [];
  const how = `${held.length} of ${values.length} distinct numbers are written as telephone numbers, in brackets or with extensions`;
  return [written(sample, held, how)];
}

/** A finding by how numbers are written, whatever the plans of countries say: new ranges are younger than any list. */
const written = (
  { name, sampledRows }: Pick<ColumnSample, 'name' | 'sampledRows'>,
  values: readonly SampledValue[],
  evidence: string,
): Candidate => ({
  finding: {
    column: name,
    kind: 'phone',
    confidence: GUESS,
    share: Math.min(1, values.reduce((sum, value) => sum + value.rows, 0) / sampledRows),
    verified: false,
    within: 'value',
    evidence,
  },
  bits: 0,
});

function judge(
  sample: Pick<ColumnSample, 'name' | 'sampledRows'>,
  { values, test, chance, hinted, how, guess = false }: Group,
): Candidate[] {
  const tried = values.slice(0, MOST);
  const passing = tried.filter(({ text }) => test(text));
  const outcome = likelihood({ tried: tried.length, passed: passing.length, chance, hinted });
  if (outcome.confidence === 0) return [];
  const rows = (list: readonly SampledValue[]): number => list.reduce((sum, value) => sum + value.rows, 0);
  const share = ((rows(passing) / rows(tried)) * rows(values)) / sample.sampledRows;
  return [
    {
      finding: {
        column: sample.name,
        kind: 'phone',
        confidence: guess ? Math.min(GUESS, outcome.confidence) : outcome.confidence,
        share: Math.min(1, share),
        verified: outcome.verified && !guess,
        within: 'value',
        evidence: `${passing.length} of ${tried.length} distinct ${how}`,
      },
      bits: outcome.bits,
    },
  ];
}

/**
 * Inside of texts: numbers with the code of a country prove themselves; those without are likely where they are
 * written as telephone numbers and valid in one country.
 */
function inText(sample: ColumnSample): Candidate[] {
  const rows = { name: sample.name, sampledRows: sample.present };
  const abroad = sample.numbers.values.filter(({ text }) => text.startsWith('+') && isShaped(text));
  const home = sample.numbers.values.filter(
    ({ text }) => WRITTEN.test(text) && !OTHER.test(text) && isShaped(text),
  );
  const { country, chance } = bestCountry(home, valid);
  const groups: Group[] = [
    {
      values: abroad,
      test: (text) => valid(text),
      chance: CHANCE_INTERNATIONAL,
      hinted: true,
      how: 'numbers with the code of a country inside of texts are valid',
    },
    {
      values: home,
      test: (text) => valid(text, country),
      chance,
      hinted: isVaried(home),
      guess: true,
      how: `numbers inside of texts are written as telephone numbers and valid in ${country}`,
    },
  ];
  const found = groups.filter(({ values }) => values.length > 0).flatMap((group) => judge(rows, group));
  const only = home.filter(({ text }) => PHONE_ONLY.test(text));
  if (found.length === 0 && only.length >= LEAST_WRITTEN)
    found.push(
      written(rows, only, `${only.length} distinct numbers inside of texts are written in brackets`),
    );
  return found.map(({ finding, bits }) => ({ finding: { ...finding, within: 'text' as const }, bits }));
}
