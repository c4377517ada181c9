import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import { routesFileContent } from '../../contracts/serving.ts';
import { Database } from '../duckdb/database.ts';
import { orMissing } from '../store/durable-file.ts';
import { openArchive } from './archive.ts';
import { fileName } from './log-files.ts';
import { LogSources } from './log-sources.ts';
import { archiveLocation, type PredictionConfig } from './settings.ts';

/**
 * Refuses a name that no endpoint has: none whose predictions are on record, and none that a server of this data
 * directory serves. What is filed under a wrong name would never be found.
 *
 * @param tempDir for what is decrypted; whoever gives it deletes it
 * @throws PerennialError `InputInvalid` with the name that is probably meant
 */
export async function requireKnownEndpoint(
  config: PredictionConfig,
  endpoint: string,
  tempDir: string,
): Promise<void> {
  const archive = await openArchive(archiveLocation(config));
  for await (const _file of archive.list(`${fileName(endpoint)}/predictions/`)) return;
  const served = await servedEndpoints(config.dataDir);
  if (served.includes(endpoint)) return;
  const recorded = await recordedEndpoints(config, tempDir);
  if (recorded.includes(endpoint)) return;
  const meant = nearest(endpoint, [...served, ...recorded]);
  throw new PerennialError(
    'InputInvalid',
    `no endpoint ${endpoint} is known here: none of its predictions is on record, and no server of this data directory serves it${meant ? `; did you mean ${meant}?` : ''}. With --new-endpoint it is taken all the same`,
  );
}

/** By the last good routes of the servers. */
async function servedEndpoints(dataDir: string): Promise<string[]> {
  const servers = join(resolve(dataDir), 'servers');
  const names: string[] = [];
  for (const server of (await readdir(servers).catch(orMissing)) ?? []) {
    const text = await readFile(join(servers, server, 'routes.json'), 'utf8').catch(() => '');
    for (const { endpoint } of tablesOf(text)) names.push(endpoint);
  }
  return names;
}

/** A file that is none is for the server to complain of. */
function tablesOf(text: string): readonly { endpoint: string }[] {
  try {
    return routesFileContent.parse(JSON.parse(text)).tables;
  } catch {
    return [];
  }
}

async function recordedEndpoints(config: PredictionConfig, tempDir: string): Promise<string[]> {
  await mkdir(tempDir, { recursive: true, mode: 0o700 });
  const database = await Database.create({ tempDir });
  try {
    return await (await LogSources.open(config, async () => database, tempDir)).endpoints('predictions');
  } finally {
    database.close();
  }
}
