import { type Command, InvalidArgumentError } from 'commander';
import pc from 'picocolors';
import { withContext } from '../context.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface Filter {
  stage?: string;
  pipeline?: string;
}

/** `cache ls`, `cache rm`, `cache gc`. */
export function registerCacheCommands(program: Command): void {
  const cache = program
    .command('cache')
    .description('results of stages that later runs with the same input take over');

  cache
    .command('ls')
    .description('list stored results, the newest first')
    .option('--stage <stage>', 'of this stage, for example ingest')
    .option('--pipeline <name>', 'that runs of this pipeline stored')
    .option('--limit <count>', 'how many to show, at the most 500', count, 100)
    .action((options: Filter & { limit: number }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const result = await perennial.cachedResults(options);
          output.result(result, () => table(result));
          return EXIT.ok;
        }),
      );
    });

  cache
    .command('rm')
    .description('forget stored results: the next run works again')
    .option('--stage <stage>', 'of this stage')
    .option('--pipeline <name>', 'that runs of this pipeline stored')
    .option('--key <key>', 'the one with this key, or what it begins with')
    .option('--all', 'all of them', false)
    .action((options: Filter & { key?: string; all: boolean }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const result = await perennial.removeCached(options);
          output.result(result, () => `forgot ${result.removed} results`);
          return EXIT.ok;
        }),
      );
    });

  cache
    .command('gc')
    .description('forget results that nobody used for a while, and those whose artifacts are gone')
    .option('--keep <duration>', 'how long what was not used is kept', '30d')
    .action((options: { keep: string }, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, () =>
        withContext(dataDirOf(command), async ({ perennial }) => {
          const result = await perennial.collectCache(options);
          output.result(result, () => `forgot ${result.removed} results, kept ${result.kept}`);
          return EXIT.ok;
        }),
      );
    });
}

function count(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text) || Number(text) > 500)
    throw new InvalidArgumentError('expected a number from 1 to 500');
  return Number(text);
}

function table({ entries, total }: Awaited<ReturnType<Perennial['cachedResults']>>): string {
  if (total === 0) return 'nothing is cached';
  const time = (iso: string | null): string => iso?.slice(0, 16).replace('T', ' ') ?? 'never';
  const rows = entries.map((entry) => [
    entry.stage,
    entry.pipeline,
    time(entry.storedAt),
    time(entry.lastHitAt),
    `${(entry.bytes / 1e6).toFixed(1)} MB`,
    entry.key.slice(0, 12),
  ]);
  const more = total > entries.length ? `\n${pc.dim(`${total - entries.length} more; see --limit`)}` : '';
  return columns([['STAGE', 'PIPELINE', 'STORED', 'LAST USED', 'SIZE', 'KEY'], ...rows]) + more;
}

type Perennial = Parameters<Parameters<typeof withContext>[1]>[0]['perennial'];
