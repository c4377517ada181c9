import type { Candidate } from './checked-values.ts';
import type { ColumnSample } from './column-sample.ts';
import { says } from './column-words.ts';

const STREET_NAMES: readonly string[] = [
  'address',
  'addr',
  'street',
  'streetaddress',
  'strasse',
  'adresse',
  'rue',
  'direccion',
  'calle',
  'domicilio',
  'indirizzo',
  'endereco',
  'rua',
  'logradouro',
  'adres',
  'straat',
  'adress',
  'gata',
  'ulica',
  'addressline',
  'homeaddress',
  '住所',
  '地址',
  '주소',
  'адрес',
];
const POSTAL_NAMES: readonly string[] = [
  'zip',
  'zipcode',
  'postcode',
  'postalcode',
  'plz',
  'postleitzahl',
  'codepostal',
  'codigopostal',
  'cap',
  'cep',
  'postnummer',
  'pincode',
  '郵便番号',
  '邮编',
];
const TOWN_NAMES: readonly string[] = [
  'city',
  'town',
  'ort',
  'stadt',
  'wohnort',
  'ville',
  'ciudad',
  'citta',
  'cidade',
  'stad',
  'municipality',
  'birthplace',
  'placeofbirth',
  'village',
  '市',
  '城市',
];

/** A number with a word for a street, before or after the street's name, in a dozen languages. */
const STREET =
  /^(?=.*\d).*(?:(?<!\p{L})(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|way|square|terrace|close|crescent|highway|hwy|parkway|place|pl|trail|run|row|mews|gardens|rue|chemin|allée|impasse|quai|cours|calle|avenida|paseo|plaza|camino|carrer|via|viale|corso|piazza|vicolo|strada|largo|rua|travessa|alameda|rodovia|ulica|ul|aleja|os)(?!\p{L})|\p{L}[- ]?(?:straße|strasse|str\.|weg|platz|allee|gasse|ring|damm|ufer|straat|laan|plein|gracht|kade|gatan|vägen|gata|vei|veien|vej|gade|katu|tie)(?!\p{L}))/iu;
/** What a column that is named so holds anyway: a word and a number. */
const WORD_AND_NUMBER = /^(?=.*\d).*\p{L}{3}/u;
const EAST_ASIAN =
  /(?:[都道府県][^\d]{1,8}[市区郡]|[市区町村].*\d|丁目|番地|[路街道巷].*\d+号|(?:시|구|군).*(?:로|길|동))/u;
const POSTAL =
  /^(?:\d{4,6}|\d{5}-\d{4}|\d{3}-\d{4}|\d{5}-\d{3}|\d{2}-\d{3}|\d{3} \d{2}|\d{4} ?[A-Z]{2}|[A-Z]\d[A-Z] ?\d[A-Z]\d|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})$/i;
const TOWN = /^\p{L}[\p{L}\p{M}'’.\- ()/]{1,60}$/u;

interface Rule {
  what: string;
  names: readonly string[];
  matches: (text: string, named: boolean) => boolean;
  /** Confidence where the name says it, and where it does not; 0 is not enough. */
  named: number;
  alone: number;
}

const RULES: readonly Rule[] = [
  {
    what: 'streets with numbers',
    names: STREET_NAMES,
    matches: (text, named) =>
      STREET.test(text) || EAST_ASIAN.test(text) || (named && WORD_AND_NUMBER.test(text)),
    named: 0.9,
    alone: 0.7,
  },
  { what: 'postal codes', names: POSTAL_NAMES, matches: (text) => POSTAL.test(text), named: 0.8, alone: 0 },
  { what: 'names of towns', names: TOWN_NAMES, matches: (text) => TOWN.test(text), named: 0.6, alone: 0 },
];
const LOOKED_AT = 2_000;
/** Least share of values; a column that is named so and looks otherwise is something else. */
const LEAST = { named: 0.3, alone: 0.5 } as const;

/** Addresses and their parts: by words for streets, forms of postal codes, names of columns. Never verified. */
export function placeFindings(sample: ColumnSample, words: ReadonlySet<string>): Candidate[] {
  const looked = sample.values.slice(0, LOOKED_AT);
  if (looked.length === 0 || (sample.family !== 'text' && !says(words, POSTAL_NAMES))) return [];
  const all = looked.reduce((sum, value) => sum + value.rows, 0);
  const found = RULES.flatMap((rule): Candidate[] => {
    const named = says(words, rule.names);
    const confidence = named ? rule.named : rule.alone;
    if (confidence === 0) return [];
    const share =
      looked.filter(({ text }) => rule.matches(text, named)).reduce((sum, value) => sum + value.rows, 0) /
      all;
    if (share < (named ? LEAST.named : LEAST.alone)) return [];
    return [
      {
        finding: {
          column: sample.name,
          kind: 'address',
          confidence,
          share,
          verified: false,
          within: 'value',
          evidence: `values look like ${rule.what}${named ? ", and the column's name says so" : ''}`,
        },
        bits: 0,
      },
    ];
  });
  return found.slice(0, 1);
}
