/**
 * The words of a column's name, small and without accents, with neighbours joined, so that `DateOfBirth`,
 * `date_of_birth` and `dateofbirth` are alike.
 *
 * @example columnWords('customerEMail_2').has('email')
 */
export function columnWords(name: string): ReadonlySet<string> {
  const plain = name
    .normalize('NFKD')
    .replace(/\p{Diacritic}/gu, '')
    .replace(/ø/gi, 'o')
    .replace(/ß/g, 'ss');
  const parts = [
    plain.split(/[^\p{L}]+/u),
    plain.split(/[^\p{L}]+|(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u),
  ];
  const words = new Set<string>();
  for (const list of parts.map((words) => words.filter(Boolean).map((word) => word.toLowerCase())))
    for (let from = 0; from < list.length; from++)
      for (let to = from + 1; to <= Math.min(list.length, from + 4); to++)
        words.add(list.slice(from, to).join(''));
  return words;
}

/** Whether a column's name holds one of some words. */
export const says = (words: ReadonlySet<string>, list: readonly string[]): boolean =>
  list.some((word) => words.has(word));
