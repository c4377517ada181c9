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
/** A number, a date, a time or an address of a machine: digits with dots and dashes are many things. */
const OTHER =
  /^-?\d+(?:\.\d+)?$|^\d{4}-\d{1,2}-\d{1,2}|^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b|^(?:\d{1,3}\.){3}\d{1,3}$/;
/** Written as telephone numbers are: in brackets, from a zero in groups, or 3-3-4. */
const WRITTEN =
  /^\(0?\d{1,5}\)[ \-/]?\d|^0\d{1,5}[ ()\-/.]+\d|^(?:1[-. ])?\d{3}[-. ]\d{3}[-. ]\d{4}(?: ?(?:x|ext\.?) ?\d+)?$/;
const INTERNATIONAL = /^(?:\+|00)[1-9]/;
const LEAST_SHARE = 0.4;
const FIRST = 40;
const MOST = 300;
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
}

/** The country in which the first values are valid most beyond chance. */
function bestCountry(
  values: readonly SampledValue[],
  test: Tester,
): { country: CountryCode; chance: number } {
  const few = values.slice(0, FIRST);
  let best: { country: CountryCode; chance: number; bits: number } = { country: 'US', chance: 0.4, bits: -1 };
  for (const country of getCountries()) {
    const chance = COUNTRY_CHANCES[country];
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
      how: `numbers are ${named ? 'written as telephone numbers or ' : ''}valid in ${country}`,
    });
  }
  const candidates = groups.flatMap((group) => judge(sample, group));
  if (candidates.length === 0) return inText(sample);
  const share = Math.min(
    1,
    candidates.reduce((sum, { finding }) => sum + finding.share, 0),
  );
  const best = candidates.reduce((a, b) => (b.finding.share > a.finding.share ? b : a));
  return [{ ...best, finding: { ...best.finding, share } }];
}

function judge(sample: ColumnSample, { values, test, chance, hinted, how }: Group): Candidate[] {
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
        confidence: outcome.confidence,
        share: Math.min(1, share),
        verified: outcome.verified,
        within: 'value',
        evidence: `${passing.length} of ${tried.length} distinct ${how}`,
      },
      bits: outcome.bits,
    },
  ];
}

/** Inside of texts only numbers with the code of a country are told from others. */
function inText(sample: ColumnSample): Candidate[] {
  const values = sample.numbers.values.filter(({ text }) => text.startsWith('+') && isShaped(text));
  if (values.length === 0) return [];
  const found = judge(
    { ...sample, sampledRows: sample.present },
    {
      values,
      test: (text) => valid(text),
      chance: CHANCE_INTERNATIONAL,
      hinted: true,
      how: 'numbers with the code of a country inside of texts are valid',
    },
  );
  return found.map(({ finding, bits }) => ({ finding: { ...finding, within: 'text' }, bits }));
}
