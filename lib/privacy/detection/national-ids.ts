import { templateShape } from './template.ts';

/** A national identification number of people, with how often chance passes its check. */
export interface NationalId {
  /** ISO 3166 country and the usual short name, such as `DE IdNr`. */
  label: string;
  /** Forms without separators, as templates; see {@link templateShape}. */
  templates: readonly string[];
  shape: RegExp;
  /** Forms with separators that are written for this number only. */
  written?: RegExp;
  /** Upper bound of the probability that a number of this shape passes; a test measures it. */
  chance: number;
  /** The same for a number that stands in its written form, where that form is the better evidence; assumed. */
  writtenChance?: number;
  /** Words of a column's name that mean it. */
  words: readonly string[];
  /** Its check is a range of numbers or a date: without its written form or its name it proves nothing. */
  weak?: boolean;
  /** The check by the published rule of the country. */
  passes: (text: string) => boolean;
}

/** Digits with one check digit of modulus 10 and 11. */
const TENTH = 0.105;
const ELEVENTH = 0.096;

interface Rule {
  country: string;
  number: string;
  shape: readonly string[];
  written?: readonly string[];
  chance: number;
  words: readonly string[];
  weak?: boolean;
  writtenChance?: number;
}

/**
 * The numbers, where chance is that of the check digits alone where a date stands in front: order numbers begin with
 * dates too.
 */
const RULES: readonly Rule[] = [
  {
    country: 'US',
    number: 'ssn',
    shape: ['#########'],
    written: ['###-##-####'],
    chance: 0.9,
    // Assumed: of texts of digits 3-2-4 one in twenty is something else.
    writtenChance: 0.05,
    weak: true,
    words: ['ssn', 'social', 'socialsecurity'],
  },
  {
    country: 'CA',
    number: 'sin',
    shape: ['#########'],
    written: ['###-###-###', '### ### ###'],
    chance: TENTH,
    writtenChance: TENTH,
    // Nine digits with a check digit of Luhn are accounts and companies (SIREN) as well.
    weak: true,
    words: ['sin', 'nas', 'socialinsurance'],
  },
  {
    country: 'GB',
    number: 'nino',
    shape: ['@@######@'],
    written: ['@@ ## ## ## @'],
    chance: 0.1,
    words: ['nino', 'nationalinsurance'],
  },
  { country: 'IE', number: 'pps', shape: ['#######@', '#######@@'], chance: 0.05, words: ['pps', 'ppsn'] },
  {
    country: 'DE',
    number: 'idnr',
    shape: ['###########'],
    chance: TENTH,
    words: ['steuerid', 'idnr', 'steueridnr', 'steuer'],
  },
  {
    country: 'AT',
    number: 'vnr',
    shape: ['##########'],
    chance: ELEVENTH,
    words: ['svnr', 'sozialversicherungsnummer', 'vsnr'],
  },
  {
    country: 'CH',
    number: 'ssn',
    shape: ['756##########'],
    written: ['756.####.####.##'],
    chance: TENTH,
    words: ['ahv', 'avs', 'ahvn'],
  },
  {
    country: 'FR',
    number: 'nir',
    shape: ['###############', '#####2A########', '#####2B########'],
    chance: 0.012,
    words: ['nir', 'insee', 'secu', 'securitesociale'],
  },
  {
    country: 'BE',
    number: 'nn',
    shape: ['###########'],
    written: ['##.##.##-###.##'],
    chance: 0.021,
    words: ['rrn', 'rijksregister', 'niss', 'insz'],
  },
  {
    country: 'NL',
    number: 'bsn',
    shape: ['#########'],
    chance: ELEVENTH,
    words: ['bsn', 'burgerservicenummer'],
  },
  {
    country: 'ES',
    number: 'dni',
    shape: ['########@'],
    written: ['########-@'],
    chance: 0.05,
    words: ['dni', 'nif'],
  },
  {
    country: 'ES',
    number: 'nie',
    shape: ['X#######@', 'Y#######@', 'Z#######@'],
    chance: 0.05,
    words: ['nie'],
  },
  { country: 'PT', number: 'nif', shape: ['#########'], chance: 0.11, words: ['nif', 'contribuinte'] },
  {
    country: 'IT',
    number: 'codicefiscale',
    shape: ['@@@@@@##@##@###@'],
    chance: 0.04,
    words: ['codicefiscale', 'fiscale', 'cf'],
  },
  {
    country: 'SE',
    number: 'personnummer',
    shape: ['##########', '############'],
    written: ['######-####', '########-####'],
    chance: TENTH,
    words: ['personnummer', 'pnr'],
  },
  {
    country: 'NO',
    number: 'fodselsnummer',
    shape: ['###########'],
    chance: 0.012,
    words: ['fodselsnummer', 'fnr'],
  },
  {
    country: 'DK',
    number: 'cpr',
    shape: ['##########'],
    chance: 0.05,
    weak: true,
    words: ['cpr'],
  },
  {
    country: 'FI',
    number: 'hetu',
    shape: ['######-###*', '######+###*', '######A###*'],
    chance: 0.035,
    words: ['hetu', 'henkilotunnus'],
  },
  { country: 'PL', number: 'pesel', shape: ['###########'], chance: TENTH, words: ['pesel'] },
  {
    country: 'CZ',
    number: 'rc',
    shape: ['##########'],
    written: ['######/####'],
    chance: ELEVENTH,
    words: ['rodne', 'rc'],
  },
  { country: 'RO', number: 'cnp', shape: ['#############'], chance: 0.1, words: ['cnp'] },
  {
    country: 'TR',
    number: 'tckimlik',
    shape: ['###########'],
    chance: 0.012,
    words: ['tckn', 'tckimlik', 'kimlik'],
  },
  { country: 'ZA', number: 'idnr', shape: ['#############'], chance: TENTH, words: ['said', 'idnumber'] },
  {
    country: 'IN',
    number: 'aadhaar',
    shape: ['############'],
    chance: TENTH,
    words: ['aadhaar', 'aadhar', 'uid'],
  },
  { country: 'IN', number: 'pan', shape: ['@@@@@####@'], chance: 0.05, words: ['pan'] },
  {
    country: 'CN',
    number: 'ric',
    shape: ['##################', '#################X'],
    chance: ELEVENTH,
    words: ['ric', 'shenfenzheng', '身份证', '身份证号'],
  },
  {
    country: 'KR',
    number: 'rrn',
    shape: ['#############'],
    written: ['######-#######'],
    chance: TENTH,
    words: ['rrn', 'jumin', '주민등록번호'],
  },
  { country: 'AU', number: 'tfn', shape: ['########', '#########'], chance: ELEVENTH, words: ['tfn'] },
  {
    country: 'BR',
    number: 'cpf',
    shape: ['###########'],
    written: ['###.###.###-##'],
    chance: 0.012,
    words: ['cpf'],
  },
  { country: 'MX', number: 'curp', shape: ['@@@@######@@@@@@*#'], chance: TENTH, words: ['curp'] },
];

/** What the library leaves out of the published rule. */
const also: Readonly<Record<string, (text: string) => boolean>> = {
  // Serial numbers begin at 0001 (Social Security Administration, "Meaning of the Social Security Number").
  'US ssn': (text) => !text.endsWith('0000'),
  // The fourth letter of a person's number is P (Income Tax Department, "Permanent Account Number").
  'IN pan': (text) => text[3] === 'P',
};

/** What the library wants to see where it takes fewer forms than people write. */
const formOf: Readonly<Record<string, (text: string) => string>> = {
  'SE personnummer': (text) => `${text.slice(0, -4)}-${text.slice(-4)}`,
};

let loaded: Promise<readonly NationalId[]> | undefined;

/**
 * The numbers with their checks, by `stdnum`: a port of python-stdnum, where each module names the rule that its
 * country published. Loaded once and late: it knows hundreds of numbers.
 */
export const nationalIds = (): Promise<readonly NationalId[]> => {
  loaded ??= load();
  return loaded;
};

async function load(): Promise<readonly NationalId[]> {
  const { stdnum } = await import('stdnum');
  return RULES.flatMap(
    ({ country, number, shape, written, chance, writtenChance, words, weak }): NationalId[] => {
      const validator = stdnum[country]?.[number];
      const form = formOf[`${country} ${number}`] ?? ((text) => text);
      const more = also[`${country} ${number}`];
      if (!validator) return [];
      return [
        {
          label: `${country} ${validator.abbreviation ?? validator.localName}`,
          templates: shape,
          shape: templateShape(shape),
          ...(written ? { written: templateShape(written) } : {}),
          chance,
          words,
          ...(weak ? { weak } : {}),
          ...(writtenChance === undefined ? {} : { writtenChance }),
          passes: (text) => validator.validate(form(text)).isValid && (more === undefined || more(text)),
        },
      ];
    },
  );
}
