const CLASSES: Readonly<Record<string, string>> = { '#': '\\d', '@': '[A-Z]', '*': '[A-Z0-9]' };

/**
 * The forms of a number as one expression over the whole text: `#` is a digit, `@` a capital letter, `*` either; all
 * else is itself.
 *
 * @example templateShape(['###-##-####']).test('123-45-6789')
 */
export function templateShape(templates: readonly string[]): RegExp {
  const one = (template: string): string =>
    [...template].map((char) => CLASSES[char] ?? char.replace(/[.+/()-]/, '\\$&')).join('');
  return new RegExp(`^(?:${templates.map(one).join('|')})$`);
}

/** What people write between the groups of a number. */
export const withoutSeparators = (text: string): string => text.replace(/[ .\-/]/g, '');
