import type { Command } from 'commander';
import { withContext } from '../context.ts';
import { EXIT, guarded, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

/** `endpoint`, `rollback`: what serves, and back to what served before. */
export function registerEndpointCommands(program: Command): void {
  program
    .command('endpoint')
    .argument('<name>', 'name of the endpoint')
    .description('what an endpoint serves, and its history')
    .action((name: string, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const state = await perennial.endpoint(name);
          output.result(state, () =>
            [
              `${name}: version ${state.current?.version ?? 'none'}, generation ${state.table.generation}${state.previous ? `, before: version ${state.previous.version}` : ''}`,
              ...Object.entries(state.acknowledged).map(
                ([server, generation]) =>
                  `  server ${server}: generation ${generation}${generation < state.table.generation ? ' (behind)' : ''}`,
              ),
              ...state.changes.map(
                (change) =>
                  `  ${change.at.slice(0, 19).replace('T', ' ')}  ${change.from ?? 'none'} → ${change.to ?? 'none'}  ${change.outcome}  by ${change.requestedBy}${change.reason ? `: ${change.reason}` : ''}`,
              ),
              ...state.incidents.map(
                ({ lastAt, role, version, kind, count, serverId, reason, stale }) =>
                  `  ${lastAt.slice(0, 19).replace('T', ' ')}  ${role} ${version}: ${kind} ×${count} on server ${serverId}${stale ? ' (of other routes)' : ''}: ${reason}`,
              ),
            ].join('\n'),
          );
          return EXIT.ok;
        }),
      );
    });

  program
    .command('rollback')
    .argument('<name>', 'name of the endpoint')
    .description('send an endpoint back to the version before the current one')
    .requiredOption('--by <name>', 'who asks for it')
    .option('--reason <text>', 'why', '')
    .action((name: string, options: { by: string; reason: string }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          // The version that is meant is the one that serves now; where another comes first, the endpoint refuses.
          const from = (await perennial.endpoint(name)).current?.version;
          const result = await perennial.rollback(name, {
            requestedBy: options.by,
            reason: options.reason,
            ...(from ? { from } : {}),
          });
          output.result(
            result,
            () =>
              `version ${result.version} serves ${name} again (before: ${result.previousVersion}), generation ${result.generation}`,
          );
          return EXIT.ok;
        }),
      );
    });
}
