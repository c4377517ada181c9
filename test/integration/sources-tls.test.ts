import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../support/certificates.ts';
import { PostgresServer } from '../support/postgres-server.ts';
import { SourceServer } from '../support/source-server.ts';

const READER = fileURLToPath(new URL('sources-reader.ts', import.meta.url));

const certificates = makeCertificates();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-tls-'));
  await writeFile(join(folder, 'authority.pem'), certificates.authority);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Reads sources as a worker that trusts the test's authority, or does not: Node looks when it starts. */
async function read(trusting: boolean, ...sources: object[]): Promise<unknown> {
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', READER, JSON.stringify(sources)],
    {
      env: {
        ...env,
        PERENNIAL_SECRET_PG: PostgresServer.password,
        ...(trusting ? { NODE_EXTRA_CA_CERTS: join(folder, 'authority.pem') } : {}),
      },
    },
  );
  return JSON.parse(stdout);
}

const denied = (words: RegExp) =>
  expect.objectContaining({
    code: 'SourceDenied',
    retryable: false,
    message: expect.stringMatching(words),
  });
const UNTRUSTED =
  /certificate of 127\.0\.0\.1\S* is signed by nobody that the worker trusts; start the worker with NODE_EXTRA_CA_CERTS=FILE/;
const OTHER_NAME = /is made out to another name; use a name that it holds/;

describe('https', () => {
  it('is believed where the worker trusts the authority, the name fits and the date is right', async () => {
    const [valid, other, old, plain] = await Promise.all([
      SourceServer.start(certificates.valid),
      SourceServer.start(certificates.other),
      SourceServer.start(certificates.old),
      SourceServer.start(),
    ]);
    try {
      const down = `${plain.url}/a.csv`;
      for (const server of [valid, other, old, plain])
        server.answer((request, response) =>
          request.url === '/down.csv'
            ? response.writeHead(302, { location: down }).end()
            : response.end('a\n1\n'),
        );
      const url = (server: SourceServer) => ({ url: `${server.url.replace('http:', 'https:')}/a.csv` });
      const [distrusting, trusting] = await Promise.all([
        read(false, url(valid)),
        read(true, url(valid), url(other), url(old), url(plain), { url: `${valid.url}/down.csv` }),
      ]);
      expect(distrusting).toEqual([denied(UNTRUSTED)]);
      expect(trusting).toEqual([
        { rows: [{ a: 1 }] },
        denied(OTHER_NAME),
        denied(/is out of date; have it renewed/),
        expect.objectContaining({
          code: 'SourceUnavailable',
          message: expect.stringMatching(/does not speak TLS/),
        }),
        denied(/redirects from https to http/),
      ]);
      expect([valid, other, old, plain].map(({ asked }) => asked.length)).toEqual([2, 0, 0, 0]);
    } finally {
      await Promise.all([valid, other, old, plain].map((server) => server.close()));
    }
  });
});

describe('PostgreSQL', () => {
  const query = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
  const at = (server: PostgresServer, sslmode: string) => ({
    postgres: {
      url: `${server.url}?sslmode=${sslmode}`,
      password: '${env:PERENNIAL_SECRET_PG}',
      query,
    },
  });

  it('is encrypted as sslmode asks, and believed as far as that goes', { timeout: 180_000 }, async () => {
    const [valid, other] = await Promise.all([
      PostgresServer.start(certificates.valid),
      PostgresServer.start(certificates.other),
    ]);
    try {
      const [distrusting, trusting] = await Promise.all([
        read(false, ...['disable', 'require', 'verify-ca', 'verify-full'].map((mode) => at(valid, mode))),
        read(
          true,
          ...[at(valid, 'verify-ca'), at(valid, 'verify-full')],
          ...[at(other, 'verify-ca'), at(other, 'verify-full')],
        ),
      ]);
      const encrypted = { rows: [{ ssl: true }] };
      const open = { rows: [{ ssl: false }] };
      expect(distrusting).toEqual([open, encrypted, denied(UNTRUSTED), denied(UNTRUSTED)]);
      expect(trusting).toEqual([encrypted, encrypted, encrypted, denied(OTHER_NAME)]);
    } finally {
      await Promise.all([valid.close(), other.close()]);
    }
  });
});
