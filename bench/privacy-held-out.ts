import { allFakers, type Faker } from '@faker-js/faker';
import { type KnownColumn, luhnDigit, personalColumns, weighted } from './privacy-corpus.ts';

/** Locales that no rule, word or weight was set on. */
export const HELD_OUT_LOCALES = [
  'en_CA',
  'en_AU',
  'en_IN',
  'de_AT',
  'de_CH',
  'fr_BE',
  'es_MX',
  'pt_PT',
  'nl_BE',
  'da',
  'nb_NO',
  'fi',
  'cs_CZ',
  'ro',
  'tr',
  'hu',
] as const;

/** National ids by the formulas of other countries than the development half's. */
function ids(faker: Faker): Record<string, { name: string; make: () => string }> {
  const digits = (count: number): string => faker.string.numeric(count);
  const born = (): string =>
    faker.date
      .birthdate({ min: 1950, max: 1999, mode: 'year' })
      .toISOString()
      .slice(2, 10)
      .replaceAll('-', '');
  const reversed = (day: string): string => `${day.slice(4)}${day.slice(2, 4)}${day.slice(0, 2)}`;
  return {
    'TR TCKN': {
      name: 'kimlik',
      make: () => {
        const base = `${faker.number.int({ min: 1, max: 9 })}${digits(8)}`;
        const tenth =
          (((weighted(base, [7, 0, 7, 0, 7, 0, 7, 0, 7]) - weighted(base, [0, 1, 0, 1, 0, 1, 0, 1])) % 10) +
            10) %
          10;
        return `${base}${tenth}${weighted(`${base}${tenth}`, Array(10).fill(1)) % 10}`;
      },
    },
    'BE NN': {
      name: 'rijksregister',
      make: () => {
        const base = `${born()}${String(faker.number.int({ min: 1, max: 997 })).padStart(3, '0')}`;
        return `${base}${String(97 - (Number(base) % 97)).padStart(2, '0')}`;
      },
    },
    'FI HETU': {
      name: 'hetu',
      make: () => {
        const day = reversed(born());
        const serial = String(faker.number.int({ min: 2, max: 899 })).padStart(3, '0');
        return `${day}-${serial}${'0123456789ABCDEFHJKLMNPRSTUVWXY'[Number(day + serial) % 31]}`;
      },
    },
    'ZA ID': {
      name: 'idnumber',
      make: () => {
        const base = `${born()}${digits(4)}0${faker.helpers.arrayElement(['8', '9'])}`;
        return `${base}${luhnDigit(base)}`;
      },
    },
    'DE IdNr': {
      name: 'steuerid',
      make: () => {
        // Ten digits of which one comes twice and one is missing, then the check digit of ISO 7064, MOD 11,10.
        const base = faker.helpers.shuffle([...'123456789']);
        base.splice(
          faker.number.int({ min: 1, max: 8 }),
          0,
          base[faker.number.int({ min: 0, max: 8 })] ?? '1',
        );
        let product = 10;
        for (const digit of base) {
          const sum = (Number(digit) + product) % 10 || 10;
          product = (sum * 2) % 11;
        }
        return `${base.join('')}${(11 - product) % 10}`;
      },
    },
    'CN RIC': {
      name: 'shenfenzheng',
      make: () => {
        const day = faker.date
          .birthdate({ min: 1950, max: 1999, mode: 'year' })
          .toISOString()
          .slice(0, 10)
          .replaceAll('-', '');
        const base = `110105${day}${digits(3)}`;
        return `${base}${'10X98765432'[weighted(base, [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]) % 11]}`;
      },
    },
  };
}

/** Columns of people that rules were not set on. */
export function heldOutColumns(seed: number): KnownColumn[] {
  const faker = allFakers.en;
  faker.seed(seed);
  return [
    ...HELD_OUT_LOCALES.flatMap((locale) => personalColumns(locale, seed)),
    ...Object.entries(ids(faker)).map(
      ([what, { name, make }]): KnownColumn => ({
        kind: 'national_id',
        what: 'national id',
        name,
        value: make,
        locale: what,
      }),
    ),
  ];
}

const modulus97 = (text: string): number =>
  [...text].reduce((rest, char) => {
    const value = Number.parseInt(char, 36);
    return (rest * (value > 9 ? 100 : 10) + value) % 97;
  }, 0);
const gtin = (base: string): string => {
  const sum = [...base].reverse().reduce((total, char, i) => total + Number(char) * (i % 2 === 0 ? 3 : 1), 0);
  return `${base}${(10 - (sum % 10)) % 10}`;
};

/** Columns without anything personal that pass checksums or are written like things that are. */
export function hardNegatives(seed: number): KnownColumn[] {
  const faker = allFakers.en;
  faker.seed(seed);
  const digits = (count: number): string => faker.string.numeric({ length: count, allowLeadingZeros: false });
  const letters = (length: number): string => faker.string.alpha({ length, casing: 'upper' });
  const upper = (length: number): string => faker.string.alphanumeric({ length, casing: 'upper' });
  const one = <T>(list: readonly T[]): T => faker.helpers.arrayElement(list);
  const of = (name: string, value: KnownColumn['value']): KnownColumn => ({
    kind: undefined,
    what: name,
    name,
    value,
    locale: '',
  });
  const withLuhn = (base: string): string => `${base}${luhnDigit(base)}`;
  const town = (): string =>
    one([
      'Paris',
      'Lyon',
      'Berlin',
      'Hamburg',
      'Florence',
      'Austin',
      'Jordan',
      'Chelsea',
      'Victoria',
      'Madison',
      'Santiago',
      'Lourdes',
      'Sydney',
      'Charlotte',
      'Vienna',
    ]);
  return [
    // Numbers with a check digit that are no person's.
    of('account', () => withLuhn(digits(9))),
    of('meter', () => withLuhn(digits(15))),
    of('iccid', () => withLuhn(`8949${digits(14)}`)),
    of('imei_luhn', () => withLuhn(`35${digits(12)}`)),
    of('siren', () => withLuhn(digits(8))),
    of('siret', () => withLuhn(digits(13))),
    of('npi', () => `1${digits(9)}`),
    of('aba', () => {
      const base = digits(8);
      return `${base}${(10 - (weighted(base, [3, 7, 1, 3, 7, 1, 3, 7]) % 10)) % 10}`;
    }),
    of('ean8', () => gtin(digits(7))),
    of('ean13', () => gtin(`40${digits(10)}`)),
    of('gtin14', () => gtin(digits(13))),
    of('sscc', () => gtin(digits(17))),
    of('isbn10', () => {
      const base = digits(9);
      return `${base}${'0123456789X'[(11 - (weighted(base, [10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11)) % 11]}`;
    }),
    of('isbn13_written', () =>
      gtin(`978${digits(9)}`).replace(/^(...)(.)(..)(......)(.)$/, '$1-$2-$3-$4-$5'),
    ),
    of('lei', () => {
      const base = upper(18);
      return `${base}${String(98 - modulus97(`${base}00`)).padStart(2, '0')}`;
    }),
    of('creditor', () => {
      const base = `0${digits(10)}`;
      return `DE${String(98 - modulus97(`${base}DE00`)).padStart(2, '0')}ZZZ${base}`;
    }),
    of('rf_reference', () => {
      const base = digits(17);
      return `RF${String(98 - modulus97(`${base}RF00`)).padStart(2, '0')}${base}`;
    }),
    of('isin', () => `US${upper(9)}${digits(1)}`),
    of('vat', () => `DE${digits(9)}`),
    of('duns', () => digits(9)),
    // Ids, counters and moments as digits.
    of('snowflake', (row) => `${1_400_000_000 + row}${digits(9)}`),
    of('unix_ns', (row) => `${1_650_000_000 + row * 17}${digits(9)}`),
    of('unix_us', (row) => 1_650_000_000_000_000 + row * 1_000_003),
    of('stamp14', () => faker.date.past({ years: 9 }).toISOString().replace(/\D/g, '').slice(0, 14)),
    of('stamp12', () => faker.date.past({ years: 9 }).toISOString().replace(/\D/g, '').slice(0, 12)),
    of('stamp10', () => faker.date.past({ years: 9 }).toISOString().replace(/\D/g, '').slice(2, 12)),
    of(
      'order_by_day',
      (row) =>
        `${faker.date.past({ years: 3 }).toISOString().replace(/\D/g, '').slice(2, 8)}${String(row % 10_000).padStart(4, '0')}`,
    ),
    of('zero_padded', (row) => String(row * 37).padStart(10, '0')),
    of('padded11', (row) => `0${String(15_100_000 + row * 113).padStart(10, '0')}`),
    ...[9, 10, 11].map((count) => of(`id${count}`, () => Number(digits(count)))),
    of('serial', () => `${digits(4)}-${digits(4)}-${digits(4)}`),
    of('licence', () => `${digits(4)}-${digits(4)}-${digits(4)}-${digits(4)}`),
    of('licence_four', () => `4${digits(3)}-${digits(4)}-${digits(4)}-${digits(4)}`),
    of('part_333', () => `${digits(3)}-${digits(3)}-${digits(3)}`),
    of('part_334', () => `${digits(3)}-${digits(3)}-${digits(4)}`),
    of('part_324', () => `${digits(3)}-${digits(2)}-${digits(4)}`),
    of('part_zero', () => `0${digits(3)}-${digits(3)}-${digits(3)}`),
    of('case_number', () => `${digits(6)}-${digits(4)}`),
    of('case_slash', () => `${digits(6)}/${digits(4)}`),
    of('position', () => `${digits(2)}.${digits(2)}.${digits(2)}-${digits(3)}.${digits(2)}`),
    of('tariff', () => `${digits(4)}.${digits(2)}.${digits(2)}.${digits(2)}`),
    of('issn', () => `${digits(4)}-${digits(4)}`),
    of('doi', () => `10.${digits(4)}/${faker.string.alphanumeric(8)}`),
    of('commit', () => faker.git.commitSha({ length: 12 })),
    of('md5', () => faker.string.hexadecimal({ length: 32, prefix: '', casing: 'lower' })),
    of('code_letters', () => `${letters(5)}${digits(4)}${letters(1)}`),
    of('code_mixed', () => `${letters(2)}${digits(6)}${letters(1)}`),
    of('code_8_1', () => `${digits(8)}${letters(1)}`),
    of('tag', () => `v${faker.system.semver()}-rc.${digits(1)}`),
    of('gps', () => `${faker.location.latitude()}, ${faker.location.longitude()}`),
    of('size', () => `${digits(3)}x${digits(3)}x${digits(2)}`),
    of('price_text', () => faker.finance.amount({ min: 1_000, max: 9_999_999, symbol: '€' })),
    of('thousands', () => Number(digits(9)).toLocaleString('fr').replaceAll(/\s/g, ' ')),
    of('moment', () => faker.date.past().toISOString().replace('T', ' ').slice(0, 19)),
    of('german_day', () =>
      faker.date.past({ years: 30 }).toISOString().slice(0, 10).split('-').reverse().join('.'),
    ),
    of(
      'period',
      () => `${faker.number.int({ min: 1990, max: 2010 })}-${faker.number.int({ min: 2011, max: 2024 })}`,
    ),
    // With an at sign.
    of('git_url', () => `git@github.com:${faker.internet.domainWord()}/${faker.word.noun()}.git`),
    of(
      'dsn',
      () => `postgres://app:${faker.string.alphanumeric(8)}@db.${faker.internet.domainName()}:5432/app`,
    ),
    of('package', () => `${faker.word.noun()}@${faker.system.semver()}`),
    of('scoped', () => `@${faker.word.noun()}/${faker.word.noun()}@${faker.system.semver()}`),
    of('handle', () => `@${faker.internet.username()}`),
    of('asset', () => `${faker.word.noun()}@${one(['2x', '3x'])}.${one(['png', 'webp', 'jpg', 'svg'])}`),
    of('at_price', () => `${digits(2)} @ ${faker.commerce.price()}`),
    // Words.
    of(
      'brand',
      () => `${town()} ${one(['Hilton', 'Couture', 'Sport', 'Royal', 'Beauty', 'Paris', 'Coffee', 'Bank'])}`,
    ),
    of(
      'label',
      () =>
        `${one(['Calvin', 'Ralph', 'Tommy', 'Hugo', 'Jack', 'Johnnie', 'Dolce'])} ${one(['Klein', 'Lauren', 'Hilfiger', 'Boss', 'Daniels', 'Walker', 'Gabbana'])} ${one(['Black', 'Sport', 'Home', 'Red'])} ${digits(2)}`,
    ),
    of('place', town),
    of('word_pair', () => `${faker.word.adjective()} ${faker.word.noun()}`),
    of('title_pair', () => faker.book.title()),
    of('catch_phrase', () => faker.company.catchPhrase()),
    of('element', () => faker.science.chemicalElement().name),
    of('dish', () => faker.food.dish()),
    of('airline', () => faker.airline.airline().name),
    of('genre', () => faker.music.genre()),
    of(
      'log',
      () =>
        `${faker.date.past().toISOString()} INFO [${faker.string.uuid()}] ${faker.hacker.phrase()} in ${digits(4)} ms`,
    ),
    of('json', () =>
      JSON.stringify({
        id: faker.string.uuid(),
        at: Number(digits(13)),
        items: [Number(digits(9)), Number(digits(10))],
      }),
    ),
    of('address_of_part', () => `Rack ${digits(2)} Row ${digits(1)} Place ${digits(3)}`),
    // Added after rules were mended on those above: nothing was changed for these.
    of('parcel', () => {
      const base = digits(8);
      const check = 11 - (weighted(base, [8, 6, 4, 2, 3, 5, 9, 7]) % 11);
      return `RR${base}${check === 10 ? 0 : check === 11 ? 5 : check}DE`;
    }),
    of('parcel12', () => digits(12)),
    of('parcel20', () => `00340${digits(15)}`),
    of('container', () => `${letters(3)}U${digits(7)}`),
    of('imsi', () => `26201${digits(10)}`),
    of('gift_card', () => `6${digits(3)} ${digits(4)} ${digits(4)} ${digits(4)}`),
    of('voucher', () => `${upper(4)}-${upper(4)}-${upper(4)}`),
    of('sort_code', () => `${digits(2)}-${digits(2)}-${digits(2)}`),
    of('sedol', () => `B${upper(5)}${digits(1)}`),
    of('opening', () => `0${faker.number.int(9)}:00-1${faker.number.int(9)}:30`),
    of('chapter', () => `${digits(1)}.${digits(1)}.${digits(1)}.${digits(1)}`),
    of('series', () => `${digits(2)}.${digits(1)} ${digits(2)}.${digits(1)} ${digits(2)}.${digits(1)}`),
    of('network', () => `10.${faker.number.int(255)}.${faker.number.int(255)}.0/24`),
    of('maven', () => `com.${faker.word.noun()}:${faker.word.noun()}:${faker.system.semver()}`),
    of(
      'clone_url',
      () => `https://token:x-oauth@git.${faker.internet.domainName()}/${faker.word.noun()}.git`,
    ),
    of('bracketed', () => `(${digits(1)}) ${faker.commerce.productName()}`),
    of('quote_number', () => `Q-0${digits(2)}-${digits(6)}`),
    of('lot_slash', () => `0${digits(3)}/${digits(6)}`),
  ];
}
