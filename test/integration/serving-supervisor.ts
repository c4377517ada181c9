/** A model server of two processes, for tests that kill it: `node serving-supervisor.ts <folder>`. */
import { join } from 'node:path';
import { pino } from 'pino';
import { startServing } from '../../serving/process/supervisor.ts';

const [, , folder = ''] = process.argv;
const server = await startServing({
  serverId: 'child',
  store: { dataDir: folder },
  routesFile: join(folder, 'routes.json'),
  logger: pino({ level: 'silent' }),
  logLevel: 'silent',
  processes: 2,
});
process.once('SIGTERM', () => {
  void server.close().then(() => process.stdout.write('closed\n'));
});
process.stdout.write(`${JSON.stringify({ url: server.url, pids: server.pids })}\n`);
