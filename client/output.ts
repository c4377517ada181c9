import { ApplicationFailure } from '@temporalio/common';
import type { Command } from 'commander';
import pc from 'picocolors';
import { ERROR_CODES, PerennialError } from '../contracts/errors.ts';

/** Exit codes of the CLI. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** Wrong usage, an invalid spec, something that does not exist. */
  invalid: 2,
  /** The run ended properly, without a deployment: a gate failed, it was rejected, nobody approved in time. */
  notDeployed: 3,
} as const;

/** Where a command writes: text for people, or one JSON document. */
export interface Output {
  readonly json: boolean;
  /** Whether a person is in front of it. */
  readonly interactive: boolean;
  /** A line for people; nothing with `--json`. */
  line(text?: string): void;
  /** A line that is wanted with `--json`, too: there on standard error. */
  notice(text?: string): void;
  /** The result: JSON with `--json`, else what `text` gives. */
  result(value: unknown, text: () => string): void;
}

/** The output that a command's options ask for. */
export function outputOf(command: Command): Output {
  const json = command.optsWithGlobals().json === true;
  return {
    json,
    interactive: !json && process.stdout.isTTY === true && process.stdin.isTTY === true,
    line: (text = '') => {
      if (!json) process.stdout.write(`${text}\n`);
    },
    notice: (text = '') => {
      (json ? process.stderr : process.stdout).write(`${text}\n`);
    },
    result: (value, text) =>
      process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${text()}\n`),
  };
}

/** Columns aligned by their widest cell. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The words of an error for a person: never a stack, the innermost message that says something. */
export function explain(error: unknown): string {
  if (error instanceof PerennialError) return error.message;
  if (!(error instanceof Error)) return String(error);
  if (
    error.cause instanceof Error &&
    /Workflow (execution|Update) failed|Activity task failed/i.test(error.message)
  )
    return explain(error.cause);
  const details = 'details' in error && typeof error.details === 'string' ? error.details : undefined;
  return details || error.message || error.name;
}

/** The code of an error, see `docs/errors.md`: its own, or that of the innermost failure of a run that has one. */
export function codeOf(error: unknown): string {
  if (error instanceof PerennialError) return error.code;
  let type = 'Failed';
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof ApplicationFailure && cause.type && Object.hasOwn(ERROR_CODES, cause.type))
      type = cause.type;
  return type;
}

/** Runs a command's work and turns what it throws into one message and an exit code. */
export async function guarded(json: boolean, work: () => Promise<number | undefined>): Promise<void> {
  try {
    process.exitCode = (await work()) ?? EXIT.ok;
  } catch (error) {
    const message = explain(error);
    const code = codeOf(error);
    if (json) process.stdout.write(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
    else process.stderr.write(`${pc.red('error:')} ${message}\n`);
    process.exitCode = ['SpecInvalid', 'InputInvalid'].includes(code) ? EXIT.invalid : EXIT.failed;
  }
}
