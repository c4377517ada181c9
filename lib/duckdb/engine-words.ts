/** Longest text that is taken over from the engine. */
const LIMIT = 800;

/** So much of an error is looked at: a value in it may be of any length. */
const READ = 4_096;

/** Errors about the SQL itself or about files: they quote the query, never a row. */
const ABOUT_THE_QUERY =
  /^(Failed to extract statements: )?(Parser|Syntax|Binder|Catalog|Permission|IO|Out of Memory) Error/i;

/** Errors about values, which stand in some of them without quotation marks. */
const ABOUT_VALUES =
  /^(Conversion|Out of Range|Invalid Input|Not implemented|Mismatch Type) Error|\bvalue\b|out of range/i;

/** What RE2 says of a pattern, which may come from a column: its kind, a colon, the pattern. */
const ABOUT_A_PATTERN =
  /^([\w ]+ Error: )?((?:missing|invalid(?! \w+ field)|bad|no argument|unexpected|trailing)[^:'"\d]{0,40}): .*/;

/** The place in the query, which the engine writes below everything else. */
const PLACE = /^\n\nLINE \d+: [^\n]*\n *\^\s*$/;

/**
 * DuckDB's words about an error without the values that it quotes from the data: they may be personal, and the
 * message goes into workflow histories. Kind, line and column stay.
 *
 * @example withoutValues("Conversion Error: Could not convert string 'Ann' to INT32") === "Conversion Error: Could not convert string … to INT32"
 */
export function withoutValues(words: string): string {
  const read = words.slice(0, READ);
  if (ABOUT_THE_QUERY.test(read)) return read.split('\n').slice(0, 6).join('\n').slice(0, LIMIT).trim();
  if (/not utf-8 encoded/.test(read))
    return 'the text is not UTF-8; set encoding: latin-1 of the source where that is what it is, or convert it, for example by `iconv -f CP1250 -t UTF-8`';
  if (/Error when sniffing file/.test(read))
    return 'the CSV dialect cannot be found out: lines have different numbers of fields, or quotes are not closed; mend them, or set delimiter';
  const csv = /CSV Error on Line: (\d+)/.exec(read);
  // What is wrong stands below the quoted row, however long that is.
  if (csv) return csvWords(words.slice(-READ), csv[1] ?? '');
  const json = /^Invalid Input Error: (Malformed JSON|JSON transform error).*? in line (\d+)/s.exec(read);
  if (json) return jsonWords(json[1] === 'Malformed JSON', Number(json[2]));
  const below = words.lastIndexOf('\n\nLINE ');
  const tail = below < 0 ? '' : words.slice(below).slice(0, READ);
  const place = PLACE.test(tail) ? tail : '';
  const said = place === '' ? words : words.slice(0, below);
  return `${firstLine(said)}${place}`.slice(0, LIMIT).trim();
}

/** Where a line cannot be parsed the engine names the next one. */
const jsonWords = (malformed: boolean, line: number): string =>
  malformed
    ? `line ${line - 1} is no whole JSON value; mend it, or leave it out`
    : `JSON line ${line} does not fit the others: a field stands twice or is new, or a value has another type; mend it`;

/** Only the first line speaks: those below it repeat the value, or belong to it. */
function firstLine(said: string): string {
  const [line = ''] = said.slice(0, READ).split('\n', 1);
  const pattern = ABOUT_A_PATTERN.exec(line);
  if (pattern) return `${pattern[1] ?? ''}${pattern[2]}: …`;
  // Where something was cut away, a mark may close nothing: the rest of the line may be a value too.
  const whole = line.length === said.length;
  const bare = withoutBrackets(withoutQuotations(line, whole), whole);
  return ABOUT_VALUES.test(line) ? bare.replace(/(?<![\w-])-?\d[\w.:+-]*/g, '…') : bare;
}

/** From the first quotation mark to the last, of either kind: a value may hold such marks itself. */
function withoutQuotations(line: string, whole: boolean): string {
  const first = line.search(/['"]/);
  const last = Math.max(line.lastIndexOf("'"), line.lastIndexOf('"'));
  if (first < 0 || (whole && first === last)) return line;
  // Behind a colon the engine tells which part of the value is wrong.
  const [rest = ''] = whole ? line.slice(last + 1).split(': ', 1) : [];
  return `${line.slice(0, first)}…${rest}`;
}

function withoutBrackets(line: string, whole: boolean): string {
  const first = line.indexOf('(');
  if (first < 0) return line;
  const last = line.lastIndexOf(')');
  return `${line.slice(0, first)}(…)${whole && last > first ? line.slice(last + 1) : ''}`;
}

/** Lines that the engine writes below the quoted row; the last one is its own, whatever the row holds. */
const CSV_COLUMN = /^Column (.+) is being converted as type (\S+)$/;
const CSV_REASON =
  /^(Expected Number of Columns: \d+ Found: \d+|Value with unterminated quote found|Maximum line size of \d+ bytes exceeded)/;

function csvWords(words: string, line: string): string {
  const lines = words.split('\n').reverse();
  const found = (wanted: RegExp): RegExpExecArray | undefined => {
    for (const each of lines) {
      const match = wanted.exec(each);
      if (match) return match;
    }
    return undefined;
  };
  const column = found(CSV_COLUMN);
  if (column)
    return `CSV line ${line}: a value of column ${column[1]} is no ${column[2]}; set another type for it under types`;
  return `CSV line ${line}: ${found(CSV_REASON)?.[1] ?? 'it cannot be parsed'}`;
}
