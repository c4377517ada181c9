import { destination, type Logger, pino } from 'pino';
import { PerennialError } from '../../contracts/errors.ts';
import { ModelServer } from '../server.ts';
import { ModelFolder } from './model-folder.ts';
import { type StandaloneSettings, settingsFromEnv } from './settings.ts';

/**
 * Serves an exported model until SIGTERM or SIGINT. Standard output carries one line when it is ready, standard error
 * the log.
 *
 * @param path the folder that `perennial export` wrote; nothing is written to it
 * @throws PerennialError `InputInvalid` for wrong settings or a malformed folder, `ModelInvalid`
 */
export async function serve(path: string): Promise<void> {
  const settings = settingsFromEnv(process.env);
  const folder = await ModelFolder.open(path);
  const logger = pino({ level: settings.logLevel, base: null }, destination(2));
  const server = await started(settings, folder, logger);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void stop(server, logger));
  process.stdout.write(`${JSON.stringify({ ready: true, url: server.url })}\n`);
}

async function started(
  { logLevel: _, ...listening }: StandaloneSettings,
  folder: ModelFolder,
  logger: Logger,
): Promise<ModelServer> {
  const server = await ModelServer.create({
    ...listening,
    store: folder,
    routesFile: folder.routesFile,
    logger,
  }).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error;
    throw new PerennialError(
      'InputInvalid',
      `port ${listening.port} of ${listening.host} is taken; set PERENNIAL_SERVER_PORT to another, or to 0`,
    );
  });
  // A folder holds one model: a server without it would never become ready.
  if (server.dataPlane.ready()) return server;
  await server.close();
  const { model, endpoint } = folder.server;
  throw new PerennialError(
    'ModelInvalid',
    `version ${model.version} of "${endpoint}" cannot be served; the line above says why. Export it again`,
  );
}

async function stop(server: ModelServer, logger: Logger): Promise<void> {
  logger.info('stopping');
  await server.close();
  process.exit(0);
}
