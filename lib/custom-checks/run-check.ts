import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { ExpectationResult } from '../../contracts/reports.ts';
import type { CustomCheckRule } from '../../contracts/spec/custom-check.ts';
import { missingColumn } from '../data/missing-column.ts';
import { ownScript } from '../processes/own-script.ts';
import { type CheckAnswer, type CheckJob, checkAnswer } from './check-job.ts';
import { requireAllowed } from './modules.ts';

/** What {@link runCustomCheck} needs. */
export interface CustomCheckRun {
  rule: CustomCheckRule;
  /** The rule's place in the spec, such as `expectations[3]`. */
  where: string;
  /** The table as a Parquet file. */
  table: { path: string; rows: number; columns: readonly { name: string }[] };
  /** What the worker runs: `modules` of its configuration. */
  allowed: readonly string[];
  /** An existing folder for the module and the process's own files. */
  scratchDir: string;
  /** Aborting kills the process. */
  signal?: AbortSignal;
}

/**
 * Runs a custom check in a process of its own: without this process's environment, in an empty folder, with limits of
 * time and memory, its output thrown away. That keeps a mistake from hurting the worker; it is no sandbox for hostile
 * code, which the worker's allow-list keeps out.
 *
 * @throws PerennialError `SourceDenied` or `SpecInvalid` (see {@link requireAllowed}), `ColumnMissing`;
 *   `CustomCheckFailed` where it throws, hangs, runs out of memory, or answers nonsense
 * @throws the signal's reason, after an abort
 */
export async function runCustomCheck(run: CustomCheckRun): Promise<ExpectationResult> {
  const { rule, where, table, signal } = run;
  signal?.throwIfAborted();
  const { source } = await requireAllowed(where, rule.module, run.allowed);
  const known = table.columns.map(({ name }) => name);
  for (const column of rule.columns ?? [])
    if (!known.includes(column)) throw missingColumn(where, column, known);
  const folder = await mkdtemp(join(run.scratchDir, 'check-'));
  try {
    const modulePath = join(folder, 'module.mjs');
    await writeFile(modulePath, source, { mode: 0o600 });
    const answer = await ask(
      {
        modulePath,
        export: rule.export,
        tablePath: table.path,
        columns: [...(rule.columns ?? known)],
        rows: rule.rows,
        tableRows: table.rows,
      },
      run,
      folder,
    );
    if (!answer.done) throw broken(run, answer.problem);
    return {
      expectation: nameOf(rule),
      kind: rule.expect,
      on: null,
      columns: [...(rule.columns ?? [])],
      severity: rule.severity,
      policy: 'stop',
      passed: answer.passed,
      violations: answer.violations ?? (answer.passed ? 0 : 1),
      rows: answer.rows,
      share: answer.violations === null || answer.rows === 0 ? 0 : answer.violations / answer.rows,
      value: answer.violations,
      observed: answer.message ?? (answer.passed ? 'passed' : 'did not pass'),
      limit: 'the check passes',
      ...('sample' in rule.rows && answer.rows < table.rows
        ? { note: `on a sample of ${answer.rows} of ${table.rows} rows` }
        : {}),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const nameOf = (rule: CustomCheckRule): string =>
  rule.name ?? `custom${rule.export === 'default' ? '' : ` ${rule.export}`}`;

const broken = ({ rule, where }: CustomCheckRun, problem: string): PerennialError =>
  new PerennialError('CustomCheckFailed', `${where}: the custom check "${nameOf(rule)}" ${problem}`);

function ask(job: CheckJob, run: CustomCheckRun, folder: string): Promise<CheckAnswer> {
  const { rule, signal } = run;
  const { path, execArgv } = ownScript(import.meta.url, './check-process.ts');
  return new Promise((resolve, reject) => {
    const child = fork(path, [], {
      execArgv: [...execArgv, '--enable-source-maps', `--max-old-space-size=${rule.memory}`],
      cwd: folder,
      // Nothing of the worker's own: no credentials, no proxy, no tokens.
      env: { HOME: folder, TMPDIR: folder, TZ: 'UTC' },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      detached: true,
    });
    let said: unknown;
    let late = false;
    const kill = (): void => killGroup(child);
    const timer = setTimeout(() => {
      late = true;
      kill();
    }, durationMs(rule.timeout));
    if (signal?.aborted) kill();
    else signal?.addEventListener('abort', kill, { once: true });
    child.on('message', (message) => {
      said ??= message;
    });
    const settle = (problem: string): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', kill);
      // What it started must not outlive it.
      kill();
      const answer = checkAnswer.safeParse(said);
      if (signal?.aborted) reject(signal.reason);
      else if (late)
        reject(broken(run, `did not end within ${rule.timeout}; make it faster, or raise timeout`));
      else if (answer.success) resolve(answer.data);
      else reject(broken(run, problem));
    };
    child.once('error', () => settle('could not be started'));
    child.once('exit', (code, end) =>
      settle(
        end === 'SIGABRT' || code === 134
          ? `ran out of its ${rule.memory} MiB of memory; look at fewer rows or columns, or raise memory`
          : `ended without an answer (${end ?? `code ${code}`})`,
      ),
    );
    child.send(job, (error) => {
      if (error) kill();
    });
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // ESRCH: the group is gone already.
  }
}
