import { type Command, InvalidArgumentError } from 'commander';
import { type Context, withContext } from '../context.ts';
import { endpointText, rolloutLines } from '../endpoint-text.ts';
import { EXIT, guarded, type Output, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface Actor {
  by: string;
  reason: string;
}

/** `endpoint`, `promote`, `pause`, `resume`, `traffic`, `rollback`: what serves, and who may change it how. */
export function registerEndpointCommands(program: Command): void {
  program
    .command('endpoint')
    .argument('<name>', 'name of the endpoint')
    .description('what an endpoint serves, the roll-out under way, and its history')
    .action((name: string, _options: unknown, command: Command) =>
      run(command, async ({ perennial }, output) => {
        const state = await perennial.endpoint(name);
        const rollout = state.slot
          ? await (await perennial.rollout(name)).status().catch(() => undefined)
          : undefined;
        output.result({ ...state, rollout: rollout ?? null }, () => endpointText(state, rollout));
      }),
    );

  order(program, 'promote', 'make the candidate of the roll-out the champion now');
  order(program, 'pause', 'let no further step of the roll-out begin; its guards go on watching');
  order(program, 'resume', 'go on with a roll-out that was paused');

  acted(program.command('traffic').argument('<name>', 'name of the endpoint'))
    .argument('<share>', 'percentage of the requests that the candidate answers', percentage)
    .description('give the candidate of the roll-out another share')
    .action((name: string, share: number, actor: Actor, command: Command) =>
      run(command, async ({ perennial }, output) => {
        const status = await (await perennial.rollout(name)).traffic({ ...picked(actor), share });
        output.result(status, () => rolloutLines(status).join('\n'));
      }),
    );

  acted(program.command('rollback').argument('<name>', 'name of the endpoint'))
    .option('--to <version>', 'any earlier version (default: the one before, or the champion of a roll-out)')
    .description('take the candidate of a roll-out away, or send an endpoint back to an earlier version')
    .action((name: string, options: Actor & { to?: string }, command: Command) =>
      run(command, async ({ perennial }, output) => {
        // The version that is meant is the one that serves now; where another comes first, the endpoint refuses.
        const from = (await perennial.endpoint(name)).current?.version;
        const result = await perennial.rollback(name, {
          requestedBy: options.by,
          reason: options.reason,
          ...(from ? { from } : {}),
          ...(options.to ? { to: options.to } : {}),
        });
        output.result(
          result,
          () =>
            `version ${result.version} serves ${name}${result.previousVersion === result.version ? '' : ` again (before: ${result.previousVersion})`}, generation ${result.generation}, on ${result.servers.length} server(s)`,
        );
      }),
    );
}

/** A command that tells the roll-out under way what to do. */
function order(program: Command, name: 'promote' | 'pause' | 'resume', description: string): void {
  acted(program.command(name).argument('<name>', 'name of the endpoint'))
    .description(description)
    .action((endpoint: string, actor: Actor, command: Command) =>
      run(command, async ({ perennial }, output) => {
        const status = await (await perennial.rollout(endpoint))[name](picked(actor));
        output.result(status, () => rolloutLines(status).join('\n'));
      }),
    );
}

const acted = (command: Command): Command =>
  command.requiredOption('--by <name>', 'who asks for it').option('--reason <text>', 'why', '');

const picked = ({ by, reason }: Actor): Actor => ({ by, reason });

function percentage(text: string): number {
  const value = Number(text.replace(/ ?%$/, ''));
  if (!(value >= 0 && value <= 99)) throw new InvalidArgumentError('a percentage from 0 to 99');
  return value;
}

const run = (command: Command, work: (context: Context, output: Output) => Promise<void>): Promise<void> => {
  const output = outputOf(command);
  return guarded(output.json, () =>
    withContext(dataDirOf(command), async (context) => {
      await work(context, output);
      return EXIT.ok;
    }),
  );
};
