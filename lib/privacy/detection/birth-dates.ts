import type { Candidate } from './checked-values.ts';
import type { ColumnSample } from './column-sample.ts';
import { says } from './column-words.ts';

const WORDS: readonly string[] = [
  'birth',
  'birthday',
  'birthdate',
  'dateofbirth',
  'dob',
  'born',
  'bday',
  'geburtsdatum',
  'geburtstag',
  'geboren',
  'gebdatum',
  'naissance',
  'datenaissance',
  'nacimiento',
  'fechanacimiento',
  'nascita',
  'datanascita',
  'nascimento',
  'geboortedatum',
  'fodelsedatum',
  'fodselsdato',
  'urodzenia',
  '生年月日',
  '誕生日',
  '出生日期',
  '생년월일',
];
const TEXT_DATE =
  /^(?:(\d{4})[-/.年]\d{1,2}[-/.月]\d{1,2}日?|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2}))(?:[ T]00:00.*)?$/;
/** Years in which a person who is alive, or died not long ago, was born. */
const EARLIEST = 1850;
const LATEST = 2100;

const found = (sample: ColumnSample, share: number, confidence: number, evidence: string): Candidate[] => [
  {
    finding: {
      column: sample.name,
      kind: 'date_of_birth',
      confidence,
      share,
      verified: false,
      within: 'value',
      evidence,
    },
    bits: 0,
  },
];

/** Dates of birth: by the column's name and plausible years; without such a name a date says nothing of births. */
export function birthFindings(sample: ColumnSample, words: ReadonlySet<string>): Candidate[] {
  if (!says(words, WORDS)) return [];
  const { years } = sample;
  if (years) {
    const plausible = years.min >= EARLIEST && years.max <= LATEST;
    return plausible ? found(sample, 1, 0.95, "the column's name, and years in which people are born") : [];
  }
  if (sample.family !== 'text') return [];
  const all = sample.sampledRows;
  const dates = sample.values.filter(({ text }) => {
    const match = TEXT_DATE.exec(text);
    if (!match) return false;
    const year = match[1] ?? match[2] ?? '';
    return year.length === 2 || (Number(year) >= EARLIEST && Number(year) <= LATEST);
  });
  const share = all === 0 ? 0 : dates.reduce((sum, value) => sum + value.rows, 0) / all;
  return share >= 0.5 ? found(sample, share, 0.95, "the column's name, and texts that are dates") : [];
}
