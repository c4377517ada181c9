import fc from 'fast-check';
import { isValidIBAN } from 'ibantools';
import { getCountries, isValidPhoneNumber, parsePhoneNumberFromString } from 'libphonenumber-js/max';
import { beforeAll, describe, expect, it } from 'vitest';
import { allChecks, type Check, isEmail } from '../../lib/privacy/detection/checks.ts';
import { columnWords } from '../../lib/privacy/detection/column-words.ts';
import { likelihood } from '../../lib/privacy/detection/likelihood.ts';
import { type NationalId, nationalIds } from '../../lib/privacy/detection/national-ids.ts';
import { CARD_WRITTEN, isCardShape, luhn } from '../../lib/privacy/detection/payment-cards.ts';
import {
  CHANCE_INTERNATIONAL,
  COUNTRY_CHANCES,
  GROUPED_CHANCES,
  isGrouped,
} from '../../lib/privacy/detection/phones.ts';
import { templateShape } from '../../lib/privacy/detection/template.ts';

let checks: readonly Check[];
let ids: readonly NationalId[];
beforeAll(async () => {
  checks = await allChecks();
  ids = await nationalIds();
});

/** Another digit at one place. */
const mutated = (text: string, place: number, by: number): string => {
  const places = [...text].flatMap((char, i) => (/\d/.test(char) ? [i] : []));
  const at = places[place % places.length] ?? 0;
  return `${text.slice(0, at)}${(Number(text[at]) + by) % 10}${text.slice(at + 1)}`;
};
const change = fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 9 }));

/** Numbers that the countries and their documentation publish as examples, or that follow from the published rule. */
const EXAMPLES: Record<string, { valid: string[]; invalid: string[]; everyDigit: boolean }> = {
  'US SSN': {
    valid: ['536904399'],
    invalid: ['000123456', '666123456', '912345678', '123004567', '123450000', '078051120'],
    everyDigit: false,
  },
  'CA SIN': { valid: ['123456782'], invalid: ['123456789'], everyDigit: true },
  'GB NINO': {
    valid: ['AB123456C', 'HH012345D'],
    invalid: ['DA123456C', 'GB123456A', 'AO123456B', 'AB123456E'],
    everyDigit: false,
  },
  'IE PPS': { valid: ['6433435F', '6433435FT'], invalid: ['6433435E'], everyDigit: true },
  'DE IdNr': { valid: ['36574261809'], invalid: ['36574261890', '36554266806'], everyDigit: true },
  'FR NIR': { valid: ['295109912611193'], invalid: ['295109912611199'], everyDigit: true },
  'NL BSN': { valid: ['111222333'], invalid: ['111252333'], everyDigit: true },
  'ES DNI': { valid: ['54362315K'], invalid: ['54362315Z'], everyDigit: true },
  'ES NIE': { valid: ['X2482300W'], invalid: ['X2482300A'], everyDigit: true },
  'IT CF': { valid: ['RCCMNL83S18D969H'], invalid: ['RCCMNL83S18D967H'], everyDigit: false },
  'BR CPF': { valid: ['39053344705'], invalid: ['23100299900'], everyDigit: false },
  'PL PESEL': { valid: ['44051401359'], invalid: ['44051401358'], everyDigit: true },
  'IN Aadhaar': { valid: ['234123412346'], invalid: ['234123412347'], everyDigit: true },
  'CH SSN': { valid: ['7569217076985'], invalid: ['7569217076984'], everyDigit: true },
  'NO Fødselsnummer': { valid: ['15108695088'], invalid: ['15108695077'], everyDigit: true },
  'SE Personnummer': { valid: ['8803200016'], invalid: ['8803200018'], everyDigit: true },
  'FI HETU': { valid: ['131052-308T'], invalid: ['131052-308U'], everyDigit: true },
  'TR T.C. Kimlik No.': { valid: ['17291716060'], invalid: ['17291716050'], everyDigit: true },
  'PT NIF': { valid: ['123456789'], invalid: ['123456788'], everyDigit: false },
};

describe.each(Object.entries(EXAMPLES))('%s', (label, { valid, invalid, everyDigit }) => {
  const id = (): NationalId => {
    const found = ids.find((item) => item.label === label);
    if (!found) throw new Error(`no such number: ${ids.map((item) => item.label).join(', ')}`);
    return found;
  };

  it('takes published examples and refuses spoilt ones', () => {
    for (const text of valid)
      expect([text, id().shape.test(text), id().passes(text)]).toEqual([text, true, true]);
    for (const text of invalid) expect([text, id().passes(text)]).toEqual([text, false]);
  });

  // Some checksums let a few changes pass.
  if (everyDigit)
    it('notices every change of one digit', () => {
      fc.assert(
        fc.property(
          fc.constantFrom(...valid),
          change,
          (text, [place, by]) => !id().passes(mutated(text, place, by)),
        ),
      );
    });
});

describe('chance', () => {
  const ALPHABETS: Record<string, string> = {
    '#': '0123456789',
    '@': 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
    '*': 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789',
  };

  it('passes no national number more often than is stated', () => {
    // A generator of its own, so that the measure is the same every time.
    let state = 12_345;
    const next = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const N = 800;
    for (const id of ids) {
      let passed = 0;
      for (let i = 0; i < N; i++) {
        const template = id.templates[i % id.templates.length] ?? '';
        const text = [...template]
          .map((char) => {
            const alphabet = ALPHABETS[char];
            return alphabet === undefined ? char : alphabet[next(alphabet.length)];
          })
          .join('');
        expect(id.shape.test(text)).toBe(true);
        if (id.passes(text)) passed++;
      }
      // Three standard deviations above what is stated.
      const limit = id.chance + 3 * Math.sqrt((id.chance * (1 - id.chance)) / N);
      expect(passed / N, id.label).toBeLessThanOrEqual(limit);
    }
  }, 60_000);
});

describe('chance of telephone numbers', () => {
  it('makes digits valid no more often than is stated', () => {
    let state = 4_711;
    const digits = (count: number): string =>
      Array.from({ length: count }, () => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return Math.floor((state / 2 ** 32) * 10);
      }).join('');
    const N = 150;
    const limit = (chance: number): number => chance + 3 * Math.sqrt((chance * (1 - chance)) / N);
    const share = (test: (i: number) => boolean): number =>
      Array.from({ length: N }, (_, i) => test(i)).filter(Boolean).length / N;
    for (const country of getCountries()) {
      const chance = COUNTRY_CHANCES[country];
      if (chance === undefined) continue;
      expect(
        share(() => isValidPhoneNumber(digits(10), country)),
        country,
      ).toBeLessThanOrEqual(limit(chance));
      expect(
        share((i) => isValidPhoneNumber(digits(7 + (i % 9)), country)),
        country,
      ).toBeLessThanOrEqual(limit(chance));
    }
    for (const country of getCountries()) {
      const chance = GROUPED_CHANCES[country];
      if (chance === undefined) continue;
      for (const length of [8, 9])
        expect(
          share(() => isValidPhoneNumber(digits(length), country)),
          country,
        ).toBeLessThanOrEqual(limit(chance));
    }
    expect(
      share(
        (i) => parsePhoneNumberFromString(`+${1 + (i % 9)}${digits(7 + (i % 7))}`)?.isPossible() ?? false,
      ),
    ).toBeLessThanOrEqual(limit(CHANCE_INTERNATIONAL));
  }, 60_000);
});

it('groups of a telephone number are those of its country', () => {
  expect(
    [
      ['32 12 34 56', 'DK'],
      ['927 258 812', 'PT'],
      ['601-725-881', 'CZ'],
    ].map(([text = '', country = '']) =>
      getCountries().some((one) => one === country && isGrouped(text, one)),
    ),
  ).toEqual([true, true, true]);
  expect(isGrouped('32123456', 'DK')).toBe(false);
  expect(isGrouped('3212-3456', 'DK')).toBe(false);
  expect(isGrouped('027 258 812', 'PT')).toBe(false);
});

describe('Luhn', () => {
  it.each([
    '4111111111111111',
    '5555555555554444',
    '378282246310005',
    '6011111111111117',
    '3530111333300000',
    '30569309025904',
  ])('%s, a published test number, is a card', (digits) =>
    expect([isCardShape(digits), luhn(digits)]).toEqual([true, true]),
  );

  it('notices every change of one digit', () => {
    fc.assert(fc.property(change, ([place, by]) => !luhn(mutated('4111111111111111', place, by))));
  });

  it('notices neighbours that changed places, but for 09 and 90', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^\d{15}$/), fc.nat(13), (base, at) => {
        const check = [...'0123456789'].find((digit) => luhn(base + digit)) ?? '';
        const [a = '', b = ''] = [base[at], base[at + 1]];
        fc.pre(a !== b && a + b !== '09' && a + b !== '90');
        return !luhn(`${base.slice(0, at)}${b}${a}${base.slice(at + 2)}${check}`);
      }),
    );
  });

  it('is asked only in ranges of issuers with their lengths', () => {
    expect(
      ['1234567890123456', '411111111111111', '356938035643809', '8901234567890123456'].map(isCardShape),
    ).toEqual([false, false, false, false]);
    expect(
      ['4111 1111 1111 1111', '3782-822463-10005', '4111-1111 1111-1111', '41111111'].map((text) =>
        CARD_WRITTEN.test(text),
      ),
    ).toEqual([true, true, false, false]);
  });
});

describe('IBAN', () => {
  const valid = [
    'DE89370400440532013000',
    'GB29NWBK60161331926819',
    'FR1420041010050500013M02606',
    'NL91ABNA0417164300',
  ];
  it('takes the examples of the registry, also in groups of four', () => {
    const check = checks.find(({ kind }) => kind === 'iban');
    for (const text of valid) {
      const written = text.replace(/(.{4})(?=.)/g, '$1 ');
      expect(check?.shaped(written, text)).toBe(text);
      expect(check?.passes(text)).toBe(true);
    }
  });
  it('notices every change of one digit', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        change,
        (text, [place, by]) => !isValidIBAN(mutated(text, place, by)),
      ),
    );
  });
});

describe('an e-mail address', () => {
  it.each(['ann@example.com', "o'hara+x@mail.example.co.uk", 'müller@example.de', 'a@b.museum'])(
    '%s is one',
    (text) => expect(isEmail(text)).toBe(true),
  );
  it.each([
    'icon@2x.png',
    'ann@example',
    '@example.com',
    'ann@',
    'a..b@example.com',
    '.a@example.com',
    'a b@example.com',
    'ann@-x.com',
    `${'a'.repeat(65)}@example.com`,
    'ann@example.com.',
  ])('%s is none', (text) => expect(isEmail(text)).toBe(false));
});

describe('the rule of decision', () => {
  it('takes the chance rate of Luhn for what it is, however many values there are', () => {
    for (const tried of [10, 100, 1_000, 100_000])
      expect(
        likelihood({ tried, passed: Math.round(tried * 0.1), chance: 0.105, hinted: false }),
      ).toMatchObject({ verified: false, confidence: 0 });
  });
  it('does not take a little more than chance for a finding', () => {
    expect(likelihood({ tried: 100_000, passed: 20_000, chance: 0.105, hinted: true }).verified).toBe(false);
  });
  it('needs few values where a check is hard to pass or the name says it, more where it is not', () => {
    const verified = (tried: number, chance: number, hinted: boolean): boolean =>
      likelihood({ tried, passed: tried, chance, hinted }).verified;
    expect([
      verified(1, 1e-9, false),
      verified(5, 0.105, false),
      verified(9, 0.105, false),
      verified(5, 0.105, true),
      verified(2, 0.105, true),
    ]).toEqual([true, false, true, true, false]);
  });
  it('grows with the number of values that pass', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000 }),
        fc.double({ min: 0.01, max: 0.9, noNaN: true }),
        fc.nat(1_999),
        (tried, chance, passed) => {
          fc.pre(passed < tried);
          const at = (count: number): number =>
            likelihood({ tried, passed: count, chance, hinted: false }).confidence;
          return at(passed + 1) >= at(passed);
        },
      ),
    );
  });
});

describe('names of columns', () => {
  it.each([
    ['customerEMail_2', 'email'],
    ['DateOfBirth', 'dateofbirth'],
    ['date_of_birth', 'dateofbirth'],
    ['Téléphone', 'telephone'],
    ['fødselsnummer', 'fodselsnummer'],
    ['SSN', 'ssn'],
    ['userIPAddress', 'ipaddress'],
  ])('%s says %s', (name, word) => expect(columnWords(name).has(word)).toBe(true));
  it('does not find a word inside of another', () => {
    expect(columnWords('shipping').has('ip')).toBe(false);
    expect(columnWords('discard').has('card')).toBe(false);
  });
});

it('a template is the whole text', () => {
  const shape = templateShape(['###.##-@', '*X']);
  expect(['123.45-A', '9X', 'BX'].every((text) => shape.test(text))).toBe(true);
  expect(['123x45-A', '123.45-a', ' 9X', '9Y', '1123.45-A'].some((text) => shape.test(text))).toBe(false);
});
