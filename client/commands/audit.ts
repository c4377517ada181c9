import type { Command } from 'commander';
import {
  type AuditAnswer,
  type AuditQuestion,
  type AuditRecord,
  auditAnswer,
} from '../../contracts/audit.ts';
import { duration, durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import { askDataEngine } from '../data-engine.ts';
import { columns, EXIT, guarded, outputOf } from '../output.ts';
import { dataDirOf } from './options.ts';

interface AuditOptions {
  run?: string;
  since?: string;
  limit: string;
}

const DEFAULT_LIMIT = 50;
const DIGEST_SHOWN = 12;

/** `audit`: who decided what, when and why. */
export function registerAuditCommand(program: Command): void {
  program
    .command('audit')
    .argument('[endpoint]', 'name of an endpoint (default: all)')
    .description('show who decided what, when and why, and whether the log is whole')
    .option('--run <id>', 'only this run, and its roll-out')
    .option('--since <when>', 'a duration such as 7d, or a time (ISO 8601)')
    .option('--limit <entries>', 'entries that are shown at the most, the latest', String(DEFAULT_LIMIT))
    .addHelpText(
      'after',
      '\nExamples:\n  $ perennial audit churn --since 7d\n  $ perennial audit --run churn-20261121-101500-3f2a --json\n\nExit codes: 0 the log is whole, 1 something in it was changed or is missing',
    )
    .action((endpoint: string | undefined, options: AuditOptions, command: Command) => {
      const output = outputOf(command);
      return guarded(output.json, async () => {
        const answer = await askDataEngine(
          'audit',
          questionOf(endpoint, options),
          // The answer of a question says `ok`, too.
          auditAnswer.strip(),
          dataDirOf(command),
        );
        for (const { stream, sequence, problem } of answer.broken)
          output.notice(
            `the log of ${stream} is not whole at entry ${sequence}: ${problem}; see docs/audit.md`,
          );
        output.result(answer, () => textOf(answer));
        return answer.broken.length === 0 ? EXIT.ok : EXIT.failed;
      });
    });
}

function questionOf(endpoint: string | undefined, { run, since, limit }: AuditOptions): AuditQuestion {
  const entries = Number(limit);
  if (!Number.isInteger(entries) || entries < 1 || entries > 100_000)
    throw new PerennialError('InputInvalid', '--limit: expected a whole number from 1 to 100000');
  return {
    endpoint: endpoint ?? null,
    run: run ?? null,
    since: since === undefined ? null : sinceOf(since),
    limit: entries,
  };
}

/** @param now epoch milliseconds, that durations count back from */
export function sinceOf(text: string, now: number = Date.now()): string {
  const time = duration.safeParse(text).success ? now - durationMs(text) : Date.parse(text);
  if (!Number.isNaN(time)) return new Date(time).toISOString();
  throw new PerennialError(
    'InputInvalid',
    '--since must be a duration such as 7d, or a time such as 2026-11-21T00:00:00Z',
  );
}

function textOf({ records }: AuditAnswer): string {
  if (records.length === 0) return 'nothing is on record that was asked for';
  return columns([
    ['WHEN', 'WHAT', 'OUTCOME', 'BY', 'VERSION', 'WHY'],
    ...records.map((record) => [
      record.at.slice(0, 19).replace('T', ' '),
      record.action,
      record.outcome,
      `${record.by}${record.how === 'token' ? ' (signed)' : ''}`,
      versionOf(record),
      oneLine(record.reason),
    ]),
  ]);
}

const versionOf = ({ endpoint, version, candidate }: AuditRecord): string =>
  [endpoint, version ?? candidate?.slice(0, DIGEST_SHOWN)].filter(Boolean).join('/');

/** What others wrote must not move the cursor of a terminal. */
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ');
