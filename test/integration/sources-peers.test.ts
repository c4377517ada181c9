import { createServer } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { httpSource, postgresSource, s3Source } from '../../contracts/spec/sources.ts';
import { Secrets } from '../../lib/secrets.ts';
import { type HostPort, HostRules } from '../../lib/sources/hosts.ts';
import { DataFixture } from '../support/integration-data.ts';
import { SourceServer } from '../support/source-server.ts';

let data: DataFixture;
let server: SourceServer;
beforeAll(async () => {
  data = await DataFixture.create();
  server = await SourceServer.start();
});
afterAll(async () => {
  await server.close();
  await data.close();
});

/** A name that was public when it was looked at, and is this machine when it is connected to. */
class Rebound extends HostRules {
  override lookupFor(_place: HostPort) {
    return {
      lookup: (
        ...[, options, callback]: Parameters<NonNullable<ReturnType<HostRules['lookupFor']>['lookup']>>
      ) =>
        options.all ? callback(null, [{ address: '127.0.0.1', family: 4 }]) : callback(null, '127.0.0.1', 4),
    };
  }
}

const hosts = new Rebound(['rebound.example']);
const secrets = new Secrets({ PERENNIAL_SECRET_KEY: 'hush-hush' });
const key = '${env:PERENNIAL_SECRET_KEY}';
const refused = {
  code: 'SourceDenied',
  retryable: false,
  message: expect.stringMatching(/rebound\.example:\d+ has a loopback, private or link-local address/),
};

it('the peer of a web address is looked at once it is connected; it is sent nothing', async () => {
  server.answer((_request, response) => response.end('a\n1\n'));
  const source = httpSource.parse({
    url: `http://rebound.example:${server.port}/a.csv`,
    headers: { authorization: `Bearer ${key}` },
  });
  await expect(data.take(source, { hosts, secrets })).rejects.toMatchObject(refused);
  expect(server.asked).toEqual([]);
});

it('so is that of an S3 store', async () => {
  server.answer((_request, response) => response.end('a\n1\n'));
  const source = s3Source.parse({
    s3: 's3://data/a.csv',
    endpoint: `http://rebound.example:${server.port}`,
    credentials: { accessKeyId: 'id', secretAccessKey: key },
  });
  await expect(data.take(source, { hosts, secrets })).rejects.toMatchObject(refused);
  expect(server.asked).toEqual([]);
});

it.each(['disable', 'require'])('and that of PostgreSQL, with sslmode=%s', async (sslmode) => {
  let bytes = 0;
  const listener = createServer((socket) =>
    socket.on('data', (chunk) => (bytes += chunk.length)).on('error', () => undefined),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' ? address?.port : 0;
  try {
    const source = postgresSource.parse({
      postgres: {
        url: `postgres://me@rebound.example:${port}/db?sslmode=${sslmode}`,
        password: key,
        table: 't',
      },
    });
    await expect(data.take(source, { hosts, secrets })).rejects.toMatchObject(refused);
    expect(bytes).toBe(0);
  } finally {
    await new Promise((resolve) => listener.close(resolve));
  }
});
