/** A model server in a process of its own, for tests that kill it: `node serving-process.ts <folder>`. */
import { join } from 'node:path';
import { pino } from 'pino';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ModelServer } from '../../serving/server.ts';

const [, , folder = ''] = process.argv;
const server = await ModelServer.create({
  serverId: 'child',
  store: await ArtifactStore.create(join(folder, 'store')),
  routesFile: join(folder, 'routes.json'),
  logger: pino({ level: 'silent' }),
});
process.once('SIGTERM', () => {
  void server.close().then(() => process.stdout.write('closed\n'));
});
process.stdout.write(`${server.url}\n`);
