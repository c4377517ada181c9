/** Longest text that is taken over from the engine. */
const LIMIT = 800;

/** Errors about the SQL itself or about files: they quote the query, never a row. */
const ABOUT_THE_QUERY =
  /^(Failed to extract statements: )?(Parser|Syntax|Binder|Catalog|Permission|IO|Not implemented|Out of Memory) Error/i;

/**
 * DuckDB's words about an error without the values that it quotes from the data: they may be personal, and the
 * message goes into workflow histories. Kind, line and column stay.
 *
 * @example withoutValues("Conversion Error: Could not convert string 'Ann' to INT32") === "Conversion Error: Could not convert string … to INT32"
 */
export function withoutValues(words: string): string {
  if (ABOUT_THE_QUERY.test(words)) return words.split('\n').slice(0, 6).join('\n').slice(0, LIMIT).trim();
  if (/not utf-8 encoded/.test(words))
    return 'the text is not UTF-8; convert it, for example by `iconv -f UTF-16 -t UTF-8`';
  if (/Error when sniffing file/.test(words))
    return 'the CSV dialect cannot be found out: lines have different numbers of fields, or quotes are not closed; mend them, or set delimiter';
  const csv = /CSV Error on Line: (\d+)/.exec(words);
  if (csv) return csvWords(words, csv[1] ?? '');
  const json = /^Invalid Input Error: (Malformed JSON|JSON transform error).* in line (\d+)/s.exec(words);
  if (json) return `${json[1]}, line ${json[2]}`;
  // The query stands last, below an empty line; a value may hold line breaks too.
  const query = words.lastIndexOf('\n\nLINE ');
  const said = (query < 0 ? words : words.slice(0, query))
    // From the first quotation mark to the last, of either kind: a value may hold such marks itself.
    .replace(/['"].*['"]/s, '…')
    .replace(/\(.*\)/s, '(…)')
    .replace(/value -?[\d.e+]+/g, 'value …');
  return `${said}${query < 0 ? '' : words.slice(query)}`.slice(0, LIMIT).trim();
}

function csvWords(words: string, line: string): string {
  // The name of the column and its type stand in the lines after the quoted row.
  const column = /^Column (.+) is being converted as type (\S+)$/m.exec(words);
  if (column)
    return `CSV line ${line}: a value of column ${column[1]} is no ${column[2]}; set another type for it under types`;
  const reason =
    /^(Expected Number of Columns: .*|Value with unterminated quote found\.?|Maximum line size of .*|.*unquoted value.*)$/m.exec(
      words,
    );
  return `CSV line ${line}: ${reason?.[1] ?? 'it cannot be parsed'}`;
}
