import { describe, expect, it } from 'vitest';
import { PerennialError } from '../../contracts/errors.ts';
import { Secrets } from '../../lib/secrets.ts';

describe('Secrets', () => {
  const secrets = new Secrets({ PERENNIAL_SECRET_SHARE: 's3cr3t', HOME: '/root' });

  it('are resolved wherever they stand in a text', () => {
    expect(secrets.resolve('/mnt/${env:PERENNIAL_SECRET_SHARE}/${env:HOME}.csv')).toBe(
      '/mnt/s3cr3t/${env:HOME}.csv',
    );
  });

  it('that are not set are an error that names the variable', () => {
    expect(() => secrets.resolve('${env:PERENNIAL_SECRET_OTHER}')).toThrow(
      /PERENNIAL_SECRET_OTHER is not set/,
    );
  });

  it('are taken out of what is told', () => {
    const error = secrets.hide(
      new PerennialError('SourceNotFound', 'no file matches /mnt/s3cr3t/x.csv', true),
    );
    expect(error).toMatchObject({
      code: 'SourceNotFound',
      message: 'no file matches /mnt/…/x.csv',
      retryable: true,
    });
  });
});
