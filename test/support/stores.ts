import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore, type StoreSettings } from '../../lib/store/open-store.ts';
import { storeLocation } from '../../lib/store/store-location.ts';
import { S3Server } from './s3-server.ts';

/** Credentials are found where the SDK looks for them. */
const VARIABLES = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const;

/** A real S3 server with one bucket, and its credentials in this process's environment until {@link close}. */
export class TestBucket {
  readonly #before = VARIABLES.map((name) => process.env[name]);

  private constructor(
    readonly server: S3Server,
    readonly client: S3Client,
    readonly bucket: string,
  ) {
    const { accessKeyId, secretAccessKey } = server.credentials;
    process.env.AWS_ACCESS_KEY_ID = accessKeyId;
    process.env.AWS_SECRET_ACCESS_KEY = secretAccessKey;
  }

  /** @param options.versions it keeps former versions of objects */
  static async start(bucket = 'artifacts', options: { versions?: boolean } = {}): Promise<TestBucket> {
    const server = await S3Server.start(options);
    const { endpoint, region, credentials } = server;
    const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    if (options.versions)
      await client.send(
        new PutBucketVersioningCommand({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } }),
      );
    return new TestBucket(server, client, bucket);
  }

  /** Where a store below a prefix of the bucket lies. */
  location(prefix: string) {
    return storeLocation(`s3://${this.bucket}/${prefix}`, { endpoint: this.server.endpoint });
  }

  async close(): Promise<void> {
    VARIABLES.forEach((name, i) => {
      const value = this.#before[i];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    });
    this.client.destroy();
    await this.server.close();
  }
}

/** A store with a data directory of its own, as one machine has it. */
export interface StoreOnAMachine {
  store: ArtifactStore;
  dataDir: string;
  /** A new scratch folder. */
  scratch(): Promise<string>;
  close(): Promise<void>;
}

/** Opens a store as a worker would. */
export async function storeOnAMachine(
  settings: Omit<StoreSettings, 'dataDir'> = {},
): Promise<StoreOnAMachine> {
  const dataDir = await mkdtemp(join(tmpdir(), 'perennial-store-'));
  return {
    store: await openStore({ dataDir, ...settings }),
    dataDir,
    scratch: () => mkdtemp(join(dataDir, 'scratch-')),
    close: () => rm(dataDir, { recursive: true, force: true }),
  };
}
