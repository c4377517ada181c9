import { z } from 'zod';

/** A person's name or id, as approver, author or operator. No e-mail address need stand in a history: any id will do. */
export const personName = z
  .string()
  .trim()
  .min(1, 'the name is empty')
  .max(200)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is refused.
  .regex(/^[^\u0000-\u001f\u007f]*$/, 'a name has no control characters');

/** Keyboards differ in how they compose letters ("é" may be one character or two), and in capitals. */
export const plainName = (name: string): string =>
  name.normalize('NFKC').trim().replaceAll(/\s+/gu, ' ').toLowerCase();

/**
 * Whether two names mean one person.
 *
 * @example samePerson('Ada ', 'ada') === true
 */
export const samePerson = (a: string, b: string): boolean => plainName(a) === plainName(b);
