import type { Candidate } from './checked-values.ts';
import type { ColumnSample, SampledValue } from './column-sample.ts';
import { says } from './column-words.ts';
import { EAST_ASIAN_FAMILY, FAMILY_NAMES, GIVEN_NAMES } from './name-lexicon.ts';

/** Names of columns that hold people in so many words, and those that hold names of anything. */
const STRONG: readonly string[] = [
  'firstname',
  'lastname',
  'fullname',
  'surname',
  'givenname',
  'familyname',
  'middlename',
  'forename',
  'maidenname',
  'personname',
  'customername',
  'clientname',
  'patientname',
  'employeename',
  'username',
  'contactname',
  'holder',
  'cardholder',
  'accountholder',
  'vorname',
  'nachname',
  'familienname',
  'nomfamille',
  'prenom',
  'nombre',
  'apellido',
  'apellidos',
  'nome',
  'cognome',
  'sobrenome',
  'voornaam',
  'achternaam',
  'fornamn',
  'efternamn',
  'etternavn',
  'imie',
  'nazwisko',
  'passenger',
  'guest',
  '氏名',
  '名前',
  '姓',
  '姓名',
  '名字',
  '이름',
  '성명',
  'имя',
  'фамилия',
  'фио',
];
const WEAK: readonly string[] = [
  'name',
  'names',
  'nom',
  'naam',
  'namn',
  'navn',
  'author',
  'owner',
  'contact',
  'person',
  'patient',
  'employee',
  'customer',
  'client',
  'signatory',
  'witness',
  'doctor',
  'teacher',
  'student',
];
/** Names of other things. */
const THINGS: readonly string[] = [
  'company',
  'product',
  'file',
  'host',
  'domain',
  'model',
  'brand',
  'column',
  'table',
  'event',
  'airport',
  'station',
  'store',
  'shop',
  'city',
  'country',
  'region',
  'state',
  'street',
  'team',
  'category',
  'item',
  'project',
  'device',
  'department',
  'school',
  'hotel',
  'app',
  'package',
  'class',
  'song',
  'movie',
  'title',
  'firma',
  'producto',
  'species',
];
const THING_WORDS =
  /\b(?:airport|airfield|field|municipal|regional|international|county|inc|ltd|llc|gmbh|corp|co|company|group|s\.?a\.?|ag|plc|street|road|avenue|hotel|university|school|hospital|park|station|bank|and)\b/i;

/** One to four words of letters, each with a capital or all of them in capitals; or two to six signs of East Asia. */
const WESTERN =
  /^(?:(?:\p{Lu}\.? )?(?:\p{Lu}[\p{L}'’.-]*|d[aeio]s?|v[ao]n|de[rnl]?|zu|le|la|di|bin|al|e|y)(?:,? |$)){1,5}$/u;
const EASTERN =
  /^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]{1,5}[ \u3000]?[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]{0,5}$/u;

const plain = (word: string): string =>
  word
    .normalize('NFKD')
    .replace(/\p{Diacritic}/gu, '')
    .replace(/ß/g, 'ss')
    .replace(/[łŁ]/g, 'l')
    .replace(/[øØ]/g, 'o')
    .toLowerCase();

const isShaped = (text: string): boolean =>
  text.length <= 60 &&
  ((WESTERN.test(text) && !THING_WORDS.test(text)) || (EASTERN.test(text) && text.length >= 2));

function isKnown(text: string): boolean {
  if (EAST_ASIAN_FAMILY.test(text)) return true;
  const words = text.split(/[\s,.-]+/u).map(plain);
  return words.some((word) => GIVEN_NAMES.has(word) || FAMILY_NAMES.has(word));
}

const LOOKED_AT = 2_000;
/** Share of known names from which on a lexicon of this size says all it can. */
const PLENTY = 0.3;

/** Names of people: by the column's name, the shape of values, and known names among them. Never verified. */
export function peopleFindings(sample: ColumnSample, words: ReadonlySet<string>): Candidate[] {
  if (sample.family !== 'text' || sample.values.length === 0) return [];
  const looked = sample.values.slice(0, LOOKED_AT);
  const rows = (list: readonly SampledValue[]): number => list.reduce((sum, value) => sum + value.rows, 0);
  const shaped = looked.filter(({ text }) => isShaped(text));
  const shape = shaped.length / looked.length;
  const known = shaped.length === 0 ? 0 : shaped.filter(({ text }) => isKnown(text)).length / shaped.length;
  const several =
    shaped.filter(({ text }) => /\S[ \u3000]\S/u.test(text)).length / Math.max(1, shaped.length);
  const thing = says(words, THINGS);
  const strong = says(words, STRONG);
  const weak = !thing && says(words, WEAK);
  const confidence = confidenceOf({ shape, known, strong, weak, thing, distinct: looked.length, several });
  if (confidence === 0) return [];
  const hint = strong || weak ? "the column's name, " : '';
  return [
    {
      finding: {
        column: sample.name,
        kind: 'person_name',
        confidence,
        share: rows(shaped) / rows(looked),
        verified: false,
        within: 'value',
        evidence: `by ${hint}shape (${Math.round(shape * 100)} % of distinct values) and known names (${Math.round(known * 100)} % of these)`,
      },
      bits: 0,
    },
  ];
}

interface Signs {
  shape: number;
  known: number;
  strong: boolean;
  weak: boolean;
  thing: boolean;
  distinct: number;
  /** Share of the shaped values that are several words. */
  several: number;
}

/** Weighs the signs; the constants were set on columns of the examples and of generated people, see docs/privacy.md. */
function confidenceOf({ shape, known, strong, weak, thing, distinct, several }: Signs): number {
  const lexicon = Math.min(1, known / PLENTY);
  if (strong) return shape >= 0.5 ? 0.6 + 0.35 * lexicon : 0;
  if (weak) return shape >= 0.6 && known >= 0.05 ? 0.4 + 0.5 * lexicon : 0;
  // A few words that happen to be names, such as months or towns, are no column of people.
  if (thing || shape < 0.8 || distinct < 20) return 0;
  // A given and a family name have two chances to be known, and towns are mostly of one word.
  if (several >= 0.8) return known < 0.15 ? 0 : 0.35 + 0.4 * Math.min(1, known / 0.4);
  return known < 0.25 ? 0 : 0.3 + 0.5 * Math.min(1, known / 0.6);
}
