import { PerennialError } from '../contracts/errors.ts';
import { SECRET_REFERENCE } from '../contracts/spec/secrets.ts';

/**
 * Resolves `${env:PERENNIAL_SECRET_…}` where the work is done, and keeps the values out of what is told to others.
 *
 * @example
 * const secrets = new Secrets(process.env);
 * const path = secrets.resolve('/mnt/${env:PERENNIAL_SECRET_SHARE}/x.csv');
 */
export class Secrets {
  readonly #values = new Set<string>();

  constructor(private readonly env: Readonly<Record<string, string | undefined>>) {}

  /** @throws PerennialError `SecretMissing` */
  resolve(text: string): string {
    return text.replaceAll(SECRET_REFERENCE, (_reference, name: string) => {
      const value = this.env[name];
      if (!value)
        throw new PerennialError(
          'SecretMissing',
          `the variable ${name} is not set on the worker; set it in its environment, then retry`,
        );
      this.#values.add(value);
      return value;
    });
  }

  /** Keeps a part of a secret, such as the password in an address, out of what is told too. */
  conceal(value: string): void {
    if (value !== '') this.#values.add(value);
  }

  /** The same error without the values that were resolved. */
  hide(error: unknown): unknown {
    if (!(error instanceof PerennialError) || this.#values.size === 0) return error;
    let { message } = error;
    for (const value of this.#values) message = message.replaceAll(value, '…');
    return new PerennialError(error.code, message, error.retryable);
  }
}
