import { readFile } from 'node:fs/promises';
import type { Server } from 'node:https';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Logger } from 'pino';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { WatchedFiles } from './watched-files.ts';

/** Files of a TLS server, in PEM. */
export const tlsSettings = z.strictObject({
  /** The certificate, followed by those between it and its authority. */
  cert: z.string().min(1),
  key: z.string().min(1),
  /** The authority of clients' certificates; with it, a client without one is refused. */
  clientCa: z.string().min(1).optional(),
});
export type TlsSettings = z.infer<typeof tlsSettings>;

/** What Node's TLS server takes. */
export interface TlsMaterial extends SecureContextOptions {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
  readonly minVersion: 'TLSv1.2';
}

/**
 * Reads the files and tries them out together.
 *
 * @throws PerennialError `InputInvalid` where one is missing, is not PEM, or key and certificate do not fit
 */
export async function readTls({ cert, key, clientCa }: TlsSettings): Promise<TlsMaterial> {
  const read = (path: string): Promise<Buffer> =>
    readFile(path).catch((cause: unknown) => {
      throw new PerennialError('InputInvalid', `the TLS file ${path} cannot be read`, false, { cause });
    });
  const material = {
    cert: await read(cert),
    key: await read(key),
    ...(clientCa === undefined ? {} : { ca: await read(clientCa) }),
    requestCert: clientCa !== undefined,
    rejectUnauthorized: clientCa !== undefined,
    minVersion: 'TLSv1.2' as const,
  };
  try {
    createSecureContext(material);
  } catch (cause) {
    throw new PerennialError(
      'InputInvalid',
      `the TLS files ${cert} and ${key} cannot be used together; they must be PEM, the key without a passphrase and that of the certificate`,
      false,
      { cause },
    );
  }
  return material;
}

/** Takes up changed files for connections from then on; files that do not fit (yet) change nothing. */
export async function watchTls(
  settings: TlsSettings,
  server: Server,
  logger: Logger,
  pollMs?: number,
): Promise<WatchedFiles> {
  const paths = [
    settings.cert,
    settings.key,
    ...(settings.clientCa === undefined ? [] : [settings.clientCa]),
  ];
  return new WatchedFiles(
    paths,
    await WatchedFiles.stateOf(paths),
    async () => {
      server.setSecureContext(await readTls(settings));
      logger.info({ cert: settings.cert }, 'the TLS certificate was read again');
    },
    (error) =>
      logger.error(
        { reason: error instanceof Error ? error.message : String(error) },
        'changed TLS files cannot be used; the ones before stay in force',
      ),
    pollMs,
  );
}
