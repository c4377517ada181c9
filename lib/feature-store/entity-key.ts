/**
 * The key of an entity, of values that a request has: as `keySql` of the view's plan makes it of its events. A server
 * needs no database for it.
 *
 * @param parts of the columns of the entity, as text
 * @example keyOf(['a', 'bc']) // '1:a,2:bc'
 */
export function keyOf(parts: readonly string[]): string {
  const [only = '', ...others] = parts;
  if (others.length === 0) return only;
  return parts.map((part) => `${Buffer.byteLength(part)}:${part}`).join(',');
}
