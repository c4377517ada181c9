import { userInfo } from 'node:os';
import { PerennialError } from '../contracts/errors.ts';
import { personName } from '../contracts/people.ts';

/**
 * Who is at the keyboard, as far as this machine knows: what `--as` says, else `PERENNIAL_USER`, else the name of the
 * user of the system.
 *
 * @param given the option
 * @throws PerennialError `InputInvalid` where there is none that could be a name
 */
export function ownName(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const name = personName.safeParse(given ?? (env.PERENNIAL_USER || systemUser()));
  if (name.success) return name.data;
  throw new PerennialError(
    'InputInvalid',
    `${given === undefined ? 'it is not known who you are: give --as NAME, or set PERENNIAL_USER' : '--as'}: ${name.error.issues[0]?.message ?? 'no name'}`,
  );
}

/** A container may run under a number that has no name. */
function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    return '';
  }
}
