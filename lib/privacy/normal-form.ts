import { isSupportedCountry, parsePhoneNumberFromString } from 'libphonenumber-js';
import type { PersonalKind } from '../../contracts/privacy.ts';

/** What is cut off at both ends, in TypeScript and in SQL alike: the whitespace of ECMAScript but the line separators. */
const SPACES =
  ' \t\n\r\v\f\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\ufeff';
const ENDS = new RegExp(`^[${SPACES}]+|[${SPACES}]+$`, 'g');

/** Code points as SQL, so that no invisible character stands in a statement. */
const SPACES_SQL = [...SPACES].map((char) => `chr(${char.codePointAt(0)})`).join(' || ');
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/**
 * A phone number as E.164 (`+491512345678`), or its digits with a leading `+` where there was one and it cannot be
 * parsed.
 *
 * @param region the country of numbers that are written without one, as ISO 3166; without it such numbers stay digits
 */
export function phoneForm(text: string, region?: string): string {
  const country = region !== undefined && isSupportedCountry(region) ? region : undefined;
  const international = text.startsWith('00') ? `+${text.slice(2)}` : text;
  const parsed = parsePhoneNumberFromString(international, country);
  return parsed?.isPossible()
    ? parsed.number
    : `${text.startsWith('+') ? '+' : ''}${text.replace(/\D/g, '')}`;
}

/**
 * The form in which two ways of writing the same thing are equal, before it becomes a pseudonym: Unicode NFC,
 * without spaces around it; e-mail addresses with small ASCII letters; IBAN, card and national id without
 * separators and in capitals; phone numbers as E.164.
 */
export function normalForm(text: string, kind?: PersonalKind, region?: string): string {
  const plain = text.normalize('NFC').replace(ENDS, '');
  switch (kind) {
    case 'email':
      return plain.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    case 'iban':
    case 'card':
    case 'national_id':
      return plain.replace(/[ .\-/]/g, '').replace(/[a-z]/g, (letter) => letter.toUpperCase());
    case 'phone':
      return phoneForm(plain, region);
    default:
      return plain;
  }
}

/**
 * The same in SQL, for an expression of type VARCHAR. Phone numbers are parsed by {@link phoneForm}, registered in
 * the database as a function.
 */
export function normalFormSql(text: string, kind: PersonalKind | undefined, phoneFunction: string): string {
  const plain = `trim(nfc_normalize(${text}), ${SPACES_SQL})`;
  switch (kind) {
    case 'email':
      return `translate(${plain}, '${UPPER}', '${UPPER.toLowerCase()}')`;
    case 'iban':
    case 'card':
    case 'national_id':
      return `translate(translate(${plain}, ' .-/', ''), '${UPPER.toLowerCase()}', '${UPPER}')`;
    case 'phone':
      return `${phoneFunction}(${plain})`;
    default:
      return plain;
  }
}
