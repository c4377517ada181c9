import type { PersonalKind } from '../../contracts/privacy.ts';

/** What stands in place of a value: its kind can be seen, nothing of it, not even its length. */
const TOKENS: Record<PersonalKind, string> = {
  email: '•••@•••',
  phone: '+•• ••• •••',
  iban: '•••• •••• ••••',
  card: '•••• •••• •••• ••••',
  national_id: '•••••••••',
  ip_address: '•.•.•.•',
  date_of_birth: '••••-••-••',
  person_name: '••• •••',
  address: '••• •••, •••',
};
const TOKEN = '•••';

/**
 * The fixed token of a kind, in place of a value.
 *
 * @example maskValue('ann@example.com', 'email') === '•••@•••'
 */
export function maskValue(value: null | undefined, kind?: PersonalKind): null;
export function maskValue(value: unknown, kind?: PersonalKind): string | null;
export function maskValue(value: unknown, kind?: PersonalKind): string | null {
  if (value === null || value === undefined) return null;
  return kind === undefined ? TOKEN : TOKENS[kind];
}
