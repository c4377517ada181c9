/**
 * A value as JSON that is the same for equal values: keys sorted, `undefined` left out, an artifact reference reduced
 * to its digest. Numbers as JavaScript writes them; what JSON has no word for is refused.
 *
 * @throws TypeError for non-finite numbers, functions, symbols and big integers
 * @example canonicalJson({ b: 1, a: [undefined] }) === '{"a":[null],"b":1}'
 */
export function canonicalJson(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`JSON has no word for a ${typeof value}`);
  if (
    'uri' in value &&
    'sha256' in value &&
    typeof value.sha256 === 'string' &&
    value.uri === `cas:${value.sha256}`
  )
    return `{"cas":${JSON.stringify(value.sha256)}}`;
  const fields = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, inner]) => `${JSON.stringify(name)}:${canonicalJson(inner)}`);
  return `{${fields.join(',')}}`;
}
