import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { type Certificate, makeCertificates } from '../support/certificates.ts';
import { FeatureWorld, NOW, someEvents } from '../support/feature-world.ts';
import { RedisServer } from '../support/redis-server.ts';
import { TlsFront } from '../support/tls-front.ts';

const CLIENT = fileURLToPath(new URL('feature-store-client.ts', import.meta.url));
const PASSWORD = 'p@ss/word:%';
const answer = z.object({
  filled: z.union([z.number(), z.string()]),
  values: z.union([z.array(z.string()), z.string()]),
});

const certificates = makeCertificates();
let world: FeatureWorld;
let redis: RedisServer;
let parquet: string;
beforeAll(async () => {
  world = await FeatureWorld.create();
  await world.set(someEvents(500, 5));
  parquet = join(world.folder, 'payments.parquet');
  await world.database.copyToParquet('SELECT * FROM payments', parquet);
  await writeFile(join(world.folder, 'authority.pem'), certificates.authority);
  redis = await RedisServer.start('--requirepass', PASSWORD);
}, 60_000);
afterAll(async () => {
  await redis?.close();
  await world?.close();
});

/** What a process says that trusts the test's authority, or does not: Node looks when it starts. */
async function asked(
  certificate: Certificate,
  { trusting = true, handshakeMs = 0 } = {},
): Promise<z.infer<typeof answer>> {
  const front = await TlsFront.before(redis.port, certificate, handshakeMs);
  const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', CLIENT, world.folder, parquet, 'payer-1', String(NOW)],
      {
        env: {
          ...env,
          PERENNIAL_FEATURE_STORE: `rediss://:\${env:PERENNIAL_SECRET_REDIS}@127.0.0.1:${front.port}/1`,
          PERENNIAL_SECRET_REDIS: PASSWORD,
          ...(trusting ? { NODE_EXTRA_CA_CERTS: join(world.folder, 'authority.pem') } : {}),
        },
      },
    );
    return answer.parse(JSON.parse(stdout));
  } finally {
    await front.close();
  }
}

it.each([
  ['', 0],
  // Longer than a look-up waits.
  [', also where the handshake takes its time', 300],
])(
  'is filled and asked over TLS by whoever trusts the authority%s',
  { timeout: 120_000 },
  async (_how, handshakeMs) => {
    const { filled, values } = await asked(certificates.valid, { handshakeMs });
    expect(filled).toBeGreaterThan(100);
    const trained = await world.trained('payer-1', NOW);
    expect(trained.every(Number.isNaN)).toBe(false);
    expect(values).toEqual(trained.map(String));
  },
);

it.each([
  ['nobody trusts', certificates.valid, false, /signed by nobody .*NODE_EXTRA_CA_CERTS=FILE/],
  ['has another name', certificates.other, true, /is made out to another name/],
  ['is out of date', certificates.old, true, /is out of date/],
] as const)(
  'a certificate that %s is refused, and said what to do',
  { timeout: 120_000 },
  async (_what, certificate, trusting, words) => {
    const { filled, values } = await asked(certificate, { trusting });
    for (const said of [filled, values]) {
      expect(said).toMatch(words);
      expect(said).not.toContain(PASSWORD);
    }
  },
);
