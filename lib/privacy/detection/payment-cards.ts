/**
 * Ranges of issuers (ISO/IEC 7812, as the networks publish them) with the lengths of their numbers. Shared ranges
 * count for the network that accepts them.
 */
const NETWORKS: readonly { name: string; prefix: RegExp; lengths: readonly number[] }[] = [
  { name: 'Visa', prefix: /^4/, lengths: [13, 16, 19] },
  {
    name: 'Mastercard',
    prefix: /^(5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/,
    lengths: [16],
  },
  { name: 'American Express', prefix: /^3[47]/, lengths: [15] },
  { name: 'Diners Club', prefix: /^(30[0-5]|3095|36|3[89])/, lengths: [14, 16, 19] },
  { name: 'Discover', prefix: /^(6011|64[4-9]|65)/, lengths: [16, 19] },
  { name: 'JCB', prefix: /^35(2[89]|[3-8])/, lengths: [16, 19] },
  { name: 'UnionPay', prefix: /^62/, lengths: [16, 17, 18, 19] },
  {
    name: 'Maestro',
    prefix: /^(5018|5020|5038|5893|6304|6759|676[1-3])/,
    lengths: [12, 13, 14, 15, 16, 17, 18, 19],
  },
  { name: 'Mir', prefix: /^220[0-4]/, lengths: [16, 17, 18, 19] },
];

/** Whether digits are as many as on a payment card; many other numbers have a check digit of Luhn too. */
export const isCardLength = (digits: string): boolean => /^\d{12,19}$/.test(digits);

/** Whether digits begin and end like the number of a payment card; says nothing of the check digit. */
export const isCardShape = (digits: string): boolean =>
  isCardLength(digits) &&
  NETWORKS.some(({ prefix, lengths }) => lengths.includes(digits.length) && prefix.test(digits));

/** Digits in groups as on a card: 4-4-4-4, or 4-6-5 of American Express. */
export const CARD_WRITTEN = /^(\d{4}([ -])\d{4}\2\d{4}\2\d{4}(\2\d{3})?|\d{4}([ -])\d{6}\4\d{5})$/;

/**
 * The check digit of ISO/IEC 7812-1 (H. P. Luhn, US patent 2,950,048). One wrong digit is always noticed.
 *
 * @example luhn('4111111111111111') === true
 */
export function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = digit * 2;
    sum += i % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
