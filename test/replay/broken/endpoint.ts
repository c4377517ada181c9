import { condition, setHandler } from '@temporalio/workflow';
import { admitUpdate, type EndpointAnswer, endpointInput } from '../../../contracts/endpoint.ts';
import { emptyEndpoint } from '../../../domain/endpoint.ts';
import { listModelServers, setChampion } from '../../../workflows/activities.ts';
import { handlers } from '../../../workflows/handlers.ts';
import { parseInput } from '../../../workflows/parse.ts';

/** An endpoint that moves the alias before the traffic. */
export async function endpoint(argument: unknown): Promise<void> {
  const input = parseInput(endpointInput, argument, 'the argument of workflow endpoint');
  const state = input.state ?? emptyEndpoint(input.endpoint);
  let candidate: string | null = null;
  setHandler(handlers.endpoint, () => state);
  setHandler(handlers.admit, (update) => {
    const { model } = parseInput(admitUpdate, update, 'update admit');
    candidate = model.version;
    return { state: 'admitted', champion: null };
  });
  setHandler(handlers.promoteCandidate, async (): Promise<EndpointAnswer> => {
    await setChampion({ modelName: input.endpoint, version: candidate });
    const { servers } = await listModelServers({});
    return {
      endpoint: input.endpoint,
      version: candidate,
      previousVersion: null,
      generation: 1,
      since: new Date().toISOString(),
      servers: servers.map(({ serverId }) => serverId),
    };
  });
  await condition(() => false);
}
