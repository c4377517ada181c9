import { Scenario } from './scenario.ts';
import { type Endpoint, eventually, type WorkflowBench } from './workflow-bench.ts';

/** An endpoint with one live server. */
export async function served(
  bench: WorkflowBench,
  own: ConstructorParameters<typeof Scenario>[0] = {},
  continueAfter?: number,
) {
  const scenario = new Scenario(own);
  const server = scenario.addServer('a', bench.taskQueue).serverId;
  const endpoint = await bench.endpoint(scenario, continueAfter === undefined ? {} : { continueAfter });
  return { scenario, endpoint, server };
}

/** What servers were told, as "generation: versions"; the same table may be offered again at any time. */
export const told = (scenario: Scenario): string[] =>
  scenario
    .inputs('applyRoutes')
    .map(({ table }) => `${table.generation}: ${table.routes.map(({ model }) => model.version).join(' ')}`)
    .filter((line, i, lines) => line !== lines[i - 1]);

export const aliases = (scenario: Scenario) => scenario.inputs('setChampion').map(({ version }) => version);

/** What the alias names is what serves. */
export const settled = (endpoint: Endpoint) =>
  eventually(async () => {
    const state = await endpoint.state();
    const named = !state.aliasUncertain && state.alias === (state.current?.version ?? null);
    return named && state.notes.length === 0 ? state : undefined;
  }, 'the registry to follow');

export const accepted = (endpoint: Endpoint, count: number) =>
  eventually(async () => {
    const { events } = await endpoint.handle.fetchHistory();
    return events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes)[count - 1];
  }, `${count} accepted updates`);
