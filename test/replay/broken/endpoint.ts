import { condition, setHandler } from '@temporalio/workflow';
import { deployUpdate, endpointInput } from '../../../contracts/endpoint.ts';
import type { DeployOutput } from '../../../contracts/stages.ts';
import { emptyEndpoint } from '../../../domain/endpoint.ts';
import { listModelServers, setChampion } from '../../../workflows/activities.ts';
import { handlers } from '../../../workflows/handlers.ts';
import { parseInput } from '../../../workflows/parse.ts';

/** An endpoint that moves the alias before the traffic. */
export async function endpoint(argument: unknown): Promise<void> {
  const input = parseInput(endpointInput, argument, 'the argument of workflow endpoint');
  const state = input.state ?? emptyEndpoint(input.endpoint);
  setHandler(handlers.endpoint, () => state);
  setHandler(handlers.deploy, async (update): Promise<DeployOutput> => {
    const { model } = parseInput(deployUpdate, update, 'update deploy');
    await setChampion({ modelName: input.endpoint, version: model.version });
    const { servers } = await listModelServers({});
    return {
      endpoint: input.endpoint,
      version: model.version,
      generation: 1,
      previousVersion: null,
      servers: servers.map(({ serverId }) => serverId),
    };
  });
  await condition(() => false);
}
