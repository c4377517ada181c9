import type { Candidate } from './checked-values.ts';
import type { ColumnSample } from './column-sample.ts';
import { FAMILY_NAMES, GIVEN_NAMES } from './name-lexicon.ts';
import { isFreeText } from './needles.ts';

/** Distinct texts that are looked into: names and streets are told from what many of them say. */
const LOOKED_AT = 4_000;
/** Distinct names or streets that it takes. */
const LEAST = 3;

const WORD = "\\p{Lu}[\\p{Ll}\\p{M}]+(?:[-'’]\\p{Lu}[\\p{Ll}\\p{M}]+)*";
const NAME = `${WORD}(?: (?:de |da |do |dos |van |van der |von |den |der |di |la |el )?${WORD}){0,2}`;
const NO_LETTER = '(?<![\\p{L}\\p{N}])';

/** Titles that stand before names of people, in a dozen languages. */
const TITLE = new RegExp(
  `${NO_LETTER}(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Herrn|Frau|Mme|Mlle|Monsieur|Madame|Sr|Sra|Srta|Señor|Señora|Senhor|Senhora|Sig|Sig\\.ra|sig|Signor|Signora|Dott|Dott\\.ssa|Dhr|heer|Mevr|Mevrouw|mevrouw|meneer|Hr|Fru|Pan|Pani|Sayın)\\.? (?:Dr\\.? |Prof\\.? )?(${NAME})`,
  'gu',
);
/** Words before the name of who is greeted or says it: a known name has to follow. */
const GREETING = new RegExp(
  `${NO_LETTER}(?:Dear|Hi|Hello|Hey|Liebe|Lieber|Hallo|Cher|Chère|Bonjour|Hola|Querid[oa]|Estimad[oa]|Caro|Cara|Ciao|Olá|Prezad[oa]|Beste|Hej|Kære|Hei|Kjære|Hyvä|Cześć|Merhaba|[Rr]egards,?|[Cc]heers,?|[Tt]hanks,?|[Ss]incerely,?|Grüßen?,?|Gruß,?|[Cc]ordialement,?|[Ss]aluti,?|[Ss]aludos?,?|[Cc]umprimentos,?|[Gg]roet(?:en)?,?|[Hh]ilsen,?) (${NAME})`,
  'gu',
);
/** What people say before their own name. */
const INTRODUCTION = new RegExp(
  `${NO_LETTER}(?:[Mm]y name is|[Mm]ein Name ist|[Ii]ch heiße|[Jj]e m['’]appelle|[Mm]e llamo|[Mm]i nombre es|[Mm]i chiamo|[Mm]ijn naam is|[Ii]k heet|[Oo] meu nome é|[Mm]eu nome é|[Mm]it navn er|[Jj]ag heter|[Jj]eg heter|[Nn]azywam się) (${NAME})`,
  'gu',
);
/** Two capitalised words, of which the given and the family name have to be known. */
const PAIR = new RegExp(`${NO_LETTER}(?=(${WORD}) (?:de |da |van |von |di )?(${WORD})(?![\\p{L}]))`, 'gu');

/** Who is addressed without a name. */
const NOBODY = new Set(
  'sir madam team customer all everyone support damen herren kunde kundin kunden kollegen client cliente clientes tous klant kunde kunder equipo equipa squadra there colleague colleagues friend friends'.split(
    ' ',
  ),
);

const plain = (word: string): string =>
  word
    .normalize('NFKD')
    .replace(/\p{Diacritic}/gu, '')
    .replace(/ø/g, 'o')
    .replace(/ß/g, 'ss')
    .toLowerCase();
const isGiven = (word: string): boolean => word.split('-').some((part) => GIVEN_NAMES.has(plain(part)));
const isFamily = (word: string): boolean => FAMILY_NAMES.has(plain(word));
const isKnown = (name: string): boolean => name.split(' ').some((word) => isGiven(word) || isFamily(word));

/** A text without its streets: many are named after people. */
const withoutStreets = (text: string): string =>
  streetsIn(text).reduce((rest, street) => rest.replace(street, ' '), text);

/** Names in one text: by a title, an introduction or a greeting, or as a known pair. */
function namesIn(whole: string): string[] {
  const text = withoutStreets(whole);
  const found: string[] = [];
  for (const [, name = ''] of text.matchAll(TITLE)) if (!isNobody(name)) found.push(name);
  for (const [, name = ''] of text.matchAll(INTRODUCTION)) found.push(name);
  for (const [, name = ''] of text.matchAll(GREETING)) if (!isNobody(name) && isKnown(name)) found.push(name);
  for (const [, given = '', family = ''] of text.matchAll(PAIR))
    if (given !== family && isGiven(given) && isFamily(family)) found.push(`${given} ${family}`);
  return found;
}

const isNobody = (name: string): boolean => NOBODY.has(plain(name.split(' ')[0] ?? ''));

/** Streets with a number inside of a text, by the habits of languages. */
const STREETS: readonly RegExp[] = [
  /(?<![\p{L}\p{N}])\d{1,5}[a-zA-Z]? (?:\p{Lu}[\p{L}'’.]+ ){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Square|Terrace|Close|Crescent|Highway|Hwy|Parkway|Place|Mews|Gardens)(?![\p{L}])/gu,
  /(?<![\p{L}\p{N}])\p{Lu}[\p{L}.'’-]*(?: \p{Lu}[\p{L}.'’-]*){0,2}?(?:[a-zäöüåæø]|[- ])(?:[Ss]traße|[Ss]trasse|[Ss]tr\.|[Ww]eg|[Pp]latz|[Aa]llee|[Gg]asse|[Rr]ing|[Dd]amm|[Uu]fer|straat|laan|plein|gracht|kade|park|singel|gatan|gata|vägen|vej|gade|allé|veien|vei|katu|tie|utca) \d{1,4}(?! ?%)[a-zA-Z]?(?![\p{L}\p{N}])/gu,
  /(?<![\p{L}\p{N}])\d{1,4}(?: bis| ter)?,? (?:[Rr]ue|[Aa]venue|[Bb]oulevard|[Cc]hemin|[Aa]llée|[Pp]lace|[Qq]uai|[Ii]mpasse|[Cc]ours|[Pp]assage|[Vv]oie) (?:(?:de |du |des |la |le |l['’]|d['’])*)\p{Lu}\p{L}+/gu,
  /(?<![\p{L}\p{N}])(?:[Cc]alle|[Aa]venida|[Aa]vda\.?|[Pp]laza|[Pp]aseo|[Cc]amino|[Rr]onda|[Vv]ia|[Vv]iale|[Cc]orso|[Pp]iazza|[Vv]icolo|[Bb]orgo|[Ss]trada|[Cc]ontrada|[Rr]otonda|[Ii]ncrocio|[Rr]ua|[Tt]ravessa|[Aa]lameda|[Ll]argo|[Aa]venida|Av\.|[Aa]leea|ul\.|al\.|os\.) \p{Lu}[\p{L} .'’-]{2,40},? (?:n[º°.]? ?|s\/n|bl\.? ?)?\d{1,5}(?![\p{L}\p{N}])/gu,
];
const streetsIn = (text: string): string[] =>
  /\d/.test(text) ? STREETS.flatMap((expression) => text.match(expression) ?? []) : [];

interface Kind {
  kind: 'person_name' | 'address';
  what: string;
  find: (text: string) => string[];
}
const KINDS: readonly Kind[] = [
  { kind: 'person_name', what: 'people by title, greeting or known name', find: namesIn },
  { kind: 'address', what: 'streets with numbers', find: streetsIn },
];

/**
 * Names and addresses inside of texts, by the sampled texts and their first {@link MAX_LENGTH} characters. Never
 * verified; the confidence grows with the number of distinct ones, since a single pair of capitalised words may be
 * anything.
 */
export function freeTextFindings(sample: ColumnSample): Candidate[] {
  if (!isFreeText(sample)) return [];
  const looked = sample.values.slice(0, LOOKED_AT);
  return KINDS.flatMap(({ kind, what, find }) => {
    const distinct = new Set<string>();
    let [rows, allRows] = [0, 0];
    for (const value of looked) {
      allRows += value.rows;
      const found = find(value.text);
      if (found.length === 0) continue;
      rows += value.rows;
      for (const thing of found) distinct.add(thing);
    }
    return distinct.size < LEAST ? [] : [candidate(sample, kind, what, distinct.size, rows / allRows)];
  });
}

const candidate = (
  { name }: Pick<ColumnSample, 'name'>,
  kind: Kind['kind'],
  what: string,
  distinct: number,
  share: number,
): Candidate => ({
  finding: {
    column: name,
    kind,
    confidence: 0.85 - 1 / (1 + distinct),
    share,
    verified: false,
    within: 'text',
    evidence: `${distinct} distinct ${what} inside of the texts looked at`,
  },
  bits: 0,
});
