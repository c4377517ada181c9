import { allFakers, type Faker } from '@faker-js/faker';
import type { PersonalKind } from '../contracts/privacy.ts';

/** A column whose content is known: a kind of personal data, or none. */
export interface KnownColumn {
  /** What it is, for the table, such as `phone, national`. */
  what: string;
  kind: PersonalKind | undefined;
  locale: string;
  /** A name that says it; for data without kinds the usual name. */
  name: string;
  value: (row: number) => string | number;
}

/** Locales of the generated people. */
export const LOCALES = ['en_US', 'en_GB', 'de', 'fr', 'es', 'it', 'pt_BR', 'nl', 'sv', 'pl', 'ja'] as const;

/** The check digit of Luhn, written apart from the detector's. */
export const luhnDigit = (digits: string): number => {
  const sum = [...digits].reverse().reduce((total, char, i) => {
    const value = Number(char) * (i % 2 === 0 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return (10 - (sum % 10)) % 10;
};

/** The digits' sum with weights. */
export const weighted = (digits: string, weights: readonly number[]): number =>
  weights.reduce((sum, weight, i) => sum + weight * Number(digits[i] ?? 0), 0);

/** National ids made by the formulas of their countries, written apart from the checks of the detector. */
function nationalIds(faker: Faker): Record<string, { name: string; make: () => string }> {
  const digits = (count: number): string => faker.string.numeric(count);
  const born = (): { yy: string; mm: string; dd: string } => {
    const day = faker.date.birthdate().toISOString();
    return { yy: day.slice(2, 4), mm: day.slice(5, 7), dd: day.slice(8, 10) };
  };
  const cpf = (): string => {
    const base = digits(9);
    const first = ((weighted(base, [10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10) % 11) % 10;
    const second = ((weighted(base + first, [11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) * 10) % 11) % 10;
    return `${base}${first}${second}`;
  };
  return {
    'BR CPF': { name: 'cpf', make: cpf },
    'BR CPF, written': {
      name: 'documento',
      make: () => cpf().replace(/^(...)(...)(...)(..)$/, '$1.$2.$3-$4'),
    },
    'NL BSN': {
      name: 'bsn',
      make: () => {
        for (;;) {
          const base = `${faker.number.int({ min: 1, max: 9 })}${digits(7)}`;
          const check = weighted(base, [9, 8, 7, 6, 5, 4, 3, 2]) % 11;
          if (check < 10) return `${base}${check}`;
        }
      },
    },
    'PL PESEL': {
      name: 'pesel',
      make: () => {
        const { yy, mm, dd } = born();
        const base = `${yy}${mm}${dd}${digits(4)}`;
        return `${base}${(10 - (weighted(base, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10)) % 10}`;
      },
    },
    'FR NIR': {
      name: 'nir',
      make: () => {
        const { yy, mm } = born();
        const department = String(faker.number.int({ min: 1, max: 95 }))
          .padStart(2, '0')
          .replace('20', '21');
        const base = `${faker.number.int({ min: 1, max: 2 })}${yy}${mm}${department}${digits(6)}`;
        return `${base}${String(97 - Number(BigInt(base) % 97n)).padStart(2, '0')}`;
      },
    },
    'ES DNI': {
      name: 'dni',
      make: () => {
        const base = digits(8);
        return `${base}${'TRWAGMYFPDXBNJZSQVHLCKE'[Number(base) % 23]}`;
      },
    },
    'SE personnummer': {
      name: 'personnummer',
      make: () => {
        const { yy, mm, dd } = born();
        const base = `${yy}${mm}${dd}${digits(3)}`;
        return `${yy}${mm}${dd}-${base.slice(6)}${luhnDigit(base)}`;
      },
    },
    'US SSN': {
      name: 'ssn',
      make: () =>
        `${String(faker.number.int({ min: 1, max: 665 })).padStart(3, '0')}-${String(faker.number.int({ min: 1, max: 99 })).padStart(2, '0')}-${String(faker.number.int({ min: 1, max: 9999 })).padStart(4, '0')}`,
    },
    'CH AHV, written': {
      name: 'ahv',
      make: () => {
        const base = `756${digits(9)}`;
        const check = (10 - (weighted(base, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10)) % 10;
        return `${base}${check}`.replace(/^(...)(....)(....)(..)$/, '$1.$2.$3.$4');
      },
    },
  };
}

/** Columns with personal data in one locale. */
export function personalColumns(locale: keyof typeof allFakers, seed: number): KnownColumn[] {
  const faker = allFakers[locale];
  faker.seed(seed);
  const text = (): string => faker.lorem.sentence({ min: 6, max: 14 });
  const inText =
    (make: () => string) =>
    (row: number): string =>
      row % 20 === 0 ? `${text()} ${make()} ${text()}` : text();
  const of = (kind: PersonalKind, what: string, name: string, value: KnownColumn['value']): KnownColumn => ({
    kind,
    what,
    name,
    value,
    locale,
  });
  return [
    of('email', 'e-mail', 'email', () => faker.internet.email()),
    of(
      'email',
      'e-mail in 5 % of texts',
      'notes',
      inText(() => faker.internet.email()),
    ),
    of('phone', 'phone, as people write', 'phone', () => faker.phone.number({ style: 'human' })),
    of('phone', 'phone, national', 'mobile', () => faker.phone.number({ style: 'national' })),
    of('phone', 'phone, international', 'tel', () => faker.phone.number({ style: 'international' })),
    of('iban', 'IBAN', 'iban', () => faker.finance.iban()),
    of(
      'iban',
      'IBAN in 5 % of texts',
      'memo',
      inText(() => faker.finance.iban()),
    ),
    of('card', 'card', 'card_number', () => faker.finance.creditCardNumber().replaceAll('-', '')),
    of('card', 'card, written', 'card_number', () => faker.finance.creditCardNumber({ issuer: 'visa' })),
    of('ip_address', 'IP address', 'ip', () => faker.internet.ip()),
    of('date_of_birth', 'date of birth', 'birth_date', () =>
      faker.date.birthdate().toISOString().slice(0, 10),
    ),
    of('person_name', 'given name', 'first_name', () => faker.person.firstName()),
    of('person_name', 'family name', 'last_name', () => faker.person.lastName()),
    of('person_name', 'full name', 'name', () => faker.person.fullName()),
    of('address', 'street', 'street', () => faker.location.streetAddress()),
    of('address', 'postal code', 'postcode', () => faker.location.zipCode()),
    of('address', 'town', 'city', () => faker.location.city()),
  ];
}

/** Columns of national ids; the locale does not matter to them. */
export function idColumns(seed: number): KnownColumn[] {
  const faker = allFakers.en;
  faker.seed(seed);
  return Object.entries(nationalIds(faker)).map(([what, { name, make }]) => ({
    kind: 'national_id',
    what,
    name,
    value: make,
    locale: '',
  }));
}

/** Columns that hold nothing personal and look as if they did. */
export function decoyColumns(seed: number): KnownColumn[] {
  const faker = allFakers.en;
  faker.seed(seed);
  const of = (name: string, value: KnownColumn['value']): KnownColumn => ({
    kind: undefined,
    what: name,
    name,
    value,
    locale: '',
  });
  const digits = (count: number) => (): string =>
    faker.string.numeric({ length: count, allowLeadingZeros: false });
  return [
    ...[8, 9, 10, 11, 12, 13, 14, 15, 16, 18].map((count) => of(`code${count}`, digits(count))),
    of('order_id', (row) => 100_000_000 + row),
    of('counter', (row) => 4_000_000_000_000_000 + row),
    of('row_key', (row) => 10_000_000_000 + row * 7),
    of('epoch_ms', (row) => 1_700_000_000_000 + row * 61_234),
    of('epoch_s', (row) => 1_700_000_000 + row * 61),
    of('day', (row) => Number(new Date(1.6e12 + row * 864e5).toISOString().slice(0, 10).replaceAll('-', ''))),
    of('order_date', () => faker.date.past({ years: 5 }).toISOString().slice(0, 10)),
    of('created_at', () => faker.date.past({ years: 5 }).toISOString()),
    of('order_number', (row) => `240115-${String(row % 10_000).padStart(4, '0')}`),
    of('invoice', (row) => `INV-2024-${String(row).padStart(7, '0')}`),
    of('price', () => faker.commerce.price()),
    of('amount_cents', () => faker.number.int({ min: 1_000_000, max: 999_999_999 })),
    of('uuid', () => faker.string.uuid()),
    of('sha', () => faker.git.commitSha()),
    of('token', () => faker.string.alphanumeric({ length: 16, casing: 'upper' })),
    of('hex', () => faker.string.hexadecimal({ length: 12, prefix: '', casing: 'upper' })),
    of('sku', () => faker.helpers.replaceSymbols('??-####-##')),
    of('part', () => faker.helpers.replaceSymbols('###-##-##')),
    of('plate', () => faker.vehicle.vrm()),
    of('vin', () => faker.vehicle.vin()),
    of('vehicle', () => faker.vehicle.vehicle()),
    of('imei', () => faker.phone.imei().replaceAll('-', '')),
    of('isbn', () => faker.commerce.isbn(13)),
    of('barcode', () => {
      const base = faker.string.numeric(12);
      return `${base}${(10 - (weighted(base, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10)) % 10}`;
    }),
    of('mac', () => faker.internet.mac()),
    of('url', () => faker.internet.url()),
    of('user_agent', () => faker.internet.userAgent()),
    of('version', () => faker.system.semver()),
    of(
      'build',
      () => `${faker.number.int(12)}.${faker.number.int(30)}.${faker.number.int(40)}.${faker.number.int(50)}`,
    ),
    of('file', () => faker.system.fileName()),
    of('image', () => `${faker.word.noun()}@2x.png`),
    of('lat', () => faker.location.latitude()),
    of('currency', () => faker.finance.currencyCode()),
    of('bic', () => faker.finance.bic()),
    of('flight', () => faker.airline.flightNumber({ addLeadingZeros: true })),
    of(
      'tailnum',
      () =>
        `N${faker.number.int({ min: 100, max: 999 })}${faker.string.alpha({ length: 2, casing: 'upper' })}`,
    ),
    of('airport', () => faker.airline.airport().name),
    of('product_name', () => faker.commerce.productName()),
    of('company_name', () => faker.company.name()),
    of('department', () => faker.commerce.department()),
    of('job', () => faker.person.jobTitle()),
    of('colour', () => faker.color.human()),
    of('month', () => faker.date.month()),
    of('country', () => faker.location.country()),
    of('animal', () => faker.animal.type()),
    of('book', () => faker.book.title()),
    of('song', () => faker.music.songName()),
    of('comment', () => faker.lorem.sentence()),
    of('review', () => faker.lorem.paragraph()),
    of('category', () => faker.commerce.productAdjective()),
    of('wallet', () => faker.finance.bitcoinAddress()),
    of('tracking', () => `1Z${faker.string.alphanumeric({ length: 16, casing: 'upper' })}`),
    of('score', () => faker.number.float({ min: 0, max: 1 })),
    of('range', () => `${faker.number.int(99)}-${faker.number.int({ min: 100, max: 999 })}`),
  ];
}
