import { isValidIBAN } from 'ibantools';
import type { PersonalKind } from '../../../contracts/privacy.ts';
import { type NationalId, nationalIds } from './national-ids.ts';
import { CARD_WRITTEN, isCardLength, isCardShape, luhn } from './payment-cards.ts';

/** A kind of value whose own characters tell whether it is right: a checksum or a strict format. */
export interface Check {
  kind: PersonalKind;
  /** What it is, in the plural or as a name, for the evidence. */
  label: string;
  /** How the check is done, in words. */
  by: string;
  /** The text, or it without separators, where that has the shape, else `undefined`. */
  shaped: (text: string, compact: string) => string | undefined;
  /** Whether a text of the shape stands in a form that is written for this kind only. */
  written: (text: string) => boolean;
  passes: (compact: string) => boolean;
  /** Whether a text has the length and letters of the shape, whatever its range; where ranges tell the shape. */
  alike?: (compact: string) => boolean;
  /** Probability that a text of the shape that is no such thing passes. */
  chance: number;
  writtenChance?: number;
  /** Words of a column's name. */
  words: readonly string[];
  /** Proves nothing without its name or written form. */
  weak: boolean;
}

/** Endings of files: `icon@2x.png` is no address. */
const FILE_ENDING =
  /\.(png|jpe?g|gif|svg|webp|avif|bmp|tiff|ico|css|scss|js|ts|map|json|html?|pdf|zip|gz|tgz|jar|whl|txt|mp[34])$/i;
/** The user of repositories: `git@github.com:owner/name` is no person. */
const NOBODY = /^(?:git|hg|svn)@/i;
const EMAIL =
  /^[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+(?:\.[\p{L}\p{N}!#$%&'*+/=?^_`{|}~-]+)*@(?:[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?\.)+\p{L}{2,24}$/u;

/** The parts of an address by RFC 5321 and 5322 as they are in use: no quoted part, no address of a machine. */
export const isEmail = (text: string): boolean =>
  text.length <= 254 &&
  text.indexOf('@') <= 64 &&
  EMAIL.test(text) &&
  !FILE_ENDING.test(text) &&
  !NOBODY.test(text);

const IBAN_SHAPE = /^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/;

const EMAIL_CHECK: Check = {
  kind: 'email',
  label: 'e-mail addresses',
  by: 'the format of RFC 5322',
  shaped: (text) => (text.includes('@') && !/\s/.test(text) ? text : undefined),
  written: isEmail,
  passes: isEmail,
  // Nothing else is written like that.
  chance: 1e-9,
  words: ['email', 'mail', 'correo', 'courriel', 'epost', 'emailaddress', 'メール'],
  weak: false,
};

const IBAN_CHECK: Check = {
  kind: 'iban',
  label: 'IBAN',
  by: 'ISO 13616: country, length, structure, modulus 97',
  shaped: (_text, compact) => (compact.length >= 15 && IBAN_SHAPE.test(compact) ? compact : undefined),
  written: () => false,
  passes: (text) => isValidIBAN(text),
  // One in 97 by the check digits, and of two letters one in nine is a country that takes part.
  chance: 1.2e-3,
  words: ['iban', 'konto', 'kontonummer', 'bankaccount', 'compte', 'cuenta'],
  weak: false,
};

const CARD_CHECK: Check = {
  kind: 'card',
  label: 'payment cards',
  by: 'range of issuers and Luhn',
  shaped: (_text, compact) => (isCardShape(compact) ? compact : undefined),
  written: (text) => CARD_WRITTEN.test(text),
  alike: isCardLength,
  passes: luhn,
  chance: 0.105,
  // Assumed: of digits in groups like a card's, with a range of issuers, few are something else.
  writtenChance: 0.02,
  words: [
    'card',
    'creditcard',
    'cc',
    'pan',
    'karte',
    'kreditkarte',
    'carte',
    'tarjeta',
    'carta',
    'cartao',
    'kort',
  ],
  weak: false,
};

/** All checks; the national numbers are loaded with the first call. */
export async function allChecks(): Promise<readonly Check[]> {
  const ids = await nationalIds();
  // Most values are longer or shorter than a number of a country: that is seen sooner than their shape.
  const lengths = (id: NationalId) => new Set(id.templates.map((template) => template.length));
  return [
    EMAIL_CHECK,
    IBAN_CHECK,
    CARD_CHECK,
    ...ids.map((id): Check => {
      const fits = lengths(id);
      const isShaped = (text: string): boolean => fits.has(text.length) && id.shape.test(text);
      return {
        kind: 'national_id',
        label: id.label,
        by: 'the published rule of the country',
        shaped: (text, compact) => (isShaped(text) ? text : isShaped(compact) ? compact : undefined),
        written: (text) => id.written?.test(text) ?? false,
        passes: id.passes,
        chance: id.chance,
        ...(id.writtenChance === undefined ? {} : { writtenChance: id.writtenChance }),
        words: [...id.words, ...ID_WORDS],
        weak: id.weak ?? false,
      };
    }),
  ];
}

/** Words for a national number of any country. */
const ID_WORDS: readonly string[] = [
  'nationalid',
  'nationalnumber',
  'personalid',
  'taxid',
  'tin',
  'identitynumber',
  'personid',
  'citizenid',
  'governmentid',
  'nin',
];
