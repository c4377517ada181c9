/** JSON's characters, as bytes. */
export const BYTE = {
  quote: 0x22,
  plus: 0x2b,
  comma: 0x2c,
  minus: 0x2d,
  dot: 0x2e,
  zero: 0x30,
  one: 0x31,
  nine: 0x39,
  colon: 0x3a,
  listStart: 0x5b,
  escape: 0x5c,
  listEnd: 0x5d,
  upperE: 0x45,
  e: 0x65,
  f: 0x66,
  n: 0x6e,
  t: 0x74,
  objectStart: 0x7b,
  objectEnd: 0x7d,
} as const;

/** Whether a byte stands behind a number or a word. */
export function endsScalar(byte: number): boolean {
  return (
    byte === BYTE.comma ||
    byte === BYTE.listEnd ||
    byte === BYTE.objectEnd ||
    byte === 0x20 ||
    byte === 0x0a ||
    byte === 0x0d ||
    byte === 0x09
  );
}
