import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { duration, durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { SERVER_KEYS_FILE, type ServerKey, serverRole } from '../../contracts/server-keys.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { addServerKey, revokeServerKey, serverKeys } from '../server-keys.ts';
import { dataDirOf } from './options.ts';

interface AddOptions {
  role: ServerKey['roles'];
  endpoint?: string[];
  rate?: string;
  burst?: string;
  expires?: string;
}

/** `server-key`: who may ask the model server. */
export function registerServerKeyCommands(program: Command): void {
  const keys = program
    .command('server-key')
    .description('API keys of the model server: add, list, revoke')
    .addHelpText(
      'after',
      '\nThe file is PERENNIAL_SERVER_KEYS, or server-keys.json in the data directory. It holds digests of the tokens, never a token. A running server takes changes up within seconds; from its first key on, it answers nobody without one.',
    );

  keys
    .command('add')
    .argument('<id>', 'a name for logs and for revoking it; not a person’s')
    .description('make a key and print its token, which is shown this once')
    .addOption(
      new Option('--role <name...>', 'what it may do')
        .choices(serverRole.options)
        .default(['predict'], 'predict'),
    )
    .option('--endpoint <name...>', 'endpoints that it may ask (default: all)')
    .option('--rate <number>', 'requests a second (default: what the server allows)')
    .option('--burst <number>', 'requests at once after a pause (default: those of one second)')
    .option('--expires <when>', 'after a duration such as 90d, or at a time such as 2027-01-31T00:00:00Z')
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial server-key add shop --endpoint churn --rate 50\n  $ perennial server-key add prometheus --role operate --expires 365d',
    )
    .action((id: string, options: AddOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const path = keysPath(command);
        const { key, token } = addServerKey(path, {
          id,
          roles: [...new Set(options.role)],
          ...(options.endpoint ? { endpoints: options.endpoint } : {}),
          ...rateOf(options),
          ...(options.expires === undefined ? {} : { expires: expiryOf(options.expires) }),
        });
        output.notice(`the key ${key.id} was added to ${path}; its token is shown only now:`);
        output.result({ id: key.id, token, roles: key.roles }, () => token);
        return EXIT.ok;
      });
    });

  keys
    .command('list')
    .description('list the keys, without their tokens')
    .action((_options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const found = serverKeys(keysPath(command));
        output.result(
          found.map(({ sha256: _, ...key }) => key),
          () => keyTable(found),
        );
        return EXIT.ok;
      });
    });

  keys
    .command('revoke')
    .argument('<id>', 'its name')
    .description('take a key away')
    .action((id: string, _options: unknown, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        revokeServerKey(keysPath(command), id);
        output.result({ id, revoked: true }, () => `the key ${id} is revoked; servers know within seconds`);
        return EXIT.ok;
      });
    });
}

const keysPath = (command: Command): string =>
  process.env.PERENNIAL_SERVER_KEYS
    ? resolve(process.env.PERENNIAL_SERVER_KEYS)
    : join(dataDirOf(command), SERVER_KEYS_FILE);

function rateOf({ rate, burst }: AddOptions): Pick<ServerKey, 'rate'> {
  if (rate === undefined) {
    if (burst === undefined) return {};
    throw new PerennialError('InputInvalid', '--burst needs --rate');
  }
  const perSecond = Number(rate);
  return {
    rate: { perSecond, burst: burst === undefined ? Math.max(1, Math.ceil(perSecond)) : Number(burst) },
  };
}

function expiryOf(text: string): string {
  const time = duration.safeParse(text).success ? Date.now() + durationMs(text) : Date.parse(text);
  if (Number.isNaN(time) || time <= Date.now())
    throw new PerennialError(
      'InputInvalid',
      '--expires must be a duration such as 90d, or a time in the future such as 2027-01-31T00:00:00Z',
    );
  return new Date(time).toISOString();
}

function keyTable(keys: readonly ServerKey[]): string {
  if (keys.length === 0) return 'no keys; `perennial server-key add NAME` makes one';
  return columns([
    ['ID', 'ROLES', 'ENDPOINTS', 'RATE', 'EXPIRES', 'CREATED'],
    ...keys.map(({ id, roles, endpoints, rate, expires, created }) => [
      id,
      roles.join(', '),
      endpoints?.join(', ') ?? 'all',
      rate ? `${rate.perSecond}/s, ${rate.burst} at once` : '-',
      expires === undefined ? 'never' : `${expires}${Date.parse(expires) <= Date.now() ? ' (expired)' : ''}`,
      created,
    ]),
  ]);
}
