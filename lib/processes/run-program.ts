import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import {
  type TrainerEvent,
  type TrainerRequest,
  type TrainerResult,
  trainerResult,
} from '../../contracts/trainer.ts';
import { ErrorOutput } from './error-output.ts';
import { watchGroupMemory } from './group-memory.ts';
import { MAX_LINES, MAX_OUTPUT_BYTES, TrainerOutput } from './trainer-output.ts';

/** The file in the scratch folder that holds a trainer's standard error, also where the trainer fails. */
export const TRAINER_STDERR = 'stderr.log';

/** What {@link runTrainer} needs. */
export interface TrainerRun {
  /** An executable: a path, or a name that is looked up in PATH. */
  program: string;
  /** Its arguments; `--request <file>` is added at the end. Never seen by a shell. */
  args: readonly string[];
  request: TrainerRequest;
  /** An existing folder of this run alone; `request.json` and `stderr.log` are written there. */
  scratchDir: string;
  /** Called in order, before the promise settles. If it throws, the trainer is stopped and the error passed on. */
  onEvent: (event: TrainerEvent) => void;
  /** Aborting sends SIGTERM: the trainer writes a checkpoint (still reported) and leaves. */
  signal: AbortSignal;
  /** Further variables for the trainer. Of this process's own it sees PATH, HOME and the locale only. */
  env?: Readonly<Record<string, string>>;
  /** Milliseconds from SIGTERM to SIGKILL, default 2000. */
  killAfterMs?: number;
  /**
   * Bytes that the program and its children may hold in memory, all together; more, and they are killed
   * (Linux; looked at every 250 ms). Default: no limit.
   */
  memoryBytes?: number | undefined;
}

/** What a trainer left. */
export interface TrainerOutcome {
  result: TrainerResult;
  /** `model.onnx` in the output folder: an existing file, not yet loaded. */
  modelPath: string;
  stderrPath: string;
}

const DEFAULT_KILL_AFTER_MS = 2000;
/** How long output may go on after the program itself ended (a grandchild that left the group holds the pipe). */
const DRAIN_MS = 1000;

/**
 * Runs a training program by the process contract (`contracts/trainer.ts`).
 *
 * The program leads a process group of its own, which dies with it. It holds the reading end of a pipe on its
 * standard input: if this process is killed, the pipe closes, and a trainer that watches it leaves too.
 *
 * @throws PerennialError `TrainerFailed` where the program does not start, fails, is killed, or uses too much memory;
 *   `TrainerContract` where it ends well without the promised files, or floods its standard output
 * @throws the signal's reason, after an abort
 * @example
 * const { program, args } = trainerCommand('lightgbm', { python });
 * const { modelPath } = await runTrainer({ program, args, request, scratchDir, onEvent: console.log, signal });
 */
export async function runTrainer(run: TrainerRun): Promise<TrainerOutcome> {
  const { request, scratchDir, signal } = run;
  signal.throwIfAborted();
  await mkdir(request.checkpointDir, { recursive: true });
  await mkdir(request.outputDir, { recursive: true });
  const requestPath = join(scratchDir, 'request.json');
  await writeFile(requestPath, JSON.stringify(request, null, 2), { mode: 0o600 });
  signal.throwIfAborted();

  const child = spawn(run.program, [...run.args, '--request', requestPath], {
    cwd: scratchDir,
    env: environment(run),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true,
    shell: false,
  });
  const stderr = new ErrorOutput(join(scratchDir, TRAINER_STDERR));
  let failure: unknown;
  const stopper = new GroupStopper(child, run.killAfterMs ?? DEFAULT_KILL_AFTER_MS);
  const output = new TrainerOutput((event) => {
    if (failure === undefined) run.onEvent(event);
  });
  const guarded = (step: () => void) => {
    try {
      step();
    } catch (error) {
      failure ??= error;
      stopper.stop();
    }
  };
  child.stdout.on('data', (chunk: Buffer) => {
    guarded(() => output.push(chunk));
    if (output.overflowed && failure === undefined) {
      failure = contractError(
        run,
        `printed more than ${MAX_OUTPUT_BYTES} bytes or ${MAX_LINES} lines; print progress less often`,
      );
      stopper.stop();
    }
  });
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // The program may end without reading its input.
  child.stdin.on('error', () => undefined);

  const memory = watchMemory(run, child.pid, (error) => {
    failure ??= error;
    stopper.kill();
  });
  const abort = () => stopper.stop();
  signal.addEventListener('abort', abort, { once: true });
  try {
    const end = await ended(child, stopper);
    guarded(() => output.end());
    if (failure !== undefined) throw failure;
    signal.throwIfAborted();
    if (end.code !== 0) throw failed(run, end, stderr.lastLines);
  } finally {
    signal.removeEventListener('abort', abort);
    memory?.stop();
    stopper.dispose();
    await stderr.close();
  }
  return { ...(await collect(run)), stderrPath: stderr.path };
}

function watchMemory(run: TrainerRun, group: number | undefined, onError: (error: PerennialError) => void) {
  const { memoryBytes, request } = run;
  if (memoryBytes === undefined || group === undefined) return undefined;
  return watchGroupMemory(group, memoryBytes, (used) => {
    onError(
      new PerennialError(
        'TrainerFailed',
        `The trainer "${request.trainer}" used ${megabytes(used)} of memory, more than training.memory ` +
          `(${megabytes(memoryBytes)}), and was stopped. Raise training.memory, or use fewer rows, features or threads.`,
      ),
    );
  });
}

const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

/** Ends a whole process group: SIGTERM, and SIGKILL for what is left after a while. */
class GroupStopper {
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly child: ChildProcess,
    private readonly killAfterMs: number,
  ) {}

  stop(): void {
    if (this.#timer !== undefined) return;
    this.#signal('SIGTERM');
    this.#timer = setTimeout(() => this.kill(), this.killAfterMs);
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }

  #signal(name: NodeJS.Signals): void {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, name);
    } catch {
      // ESRCH: the group is gone already.
    }
  }
}

interface ProgramEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

async function ended(child: ChildProcess, stopper: GroupStopper): Promise<ProgramEnd> {
  const closed = once(child, 'close');
  closed.catch(() => undefined);
  const [code, signal] = (await once(child, 'exit').catch((cause: unknown) => {
    throw new PerennialError('TrainerFailed', startMessage(child, cause), false, { cause });
  })) as [number | null, NodeJS.Signals | null];
  // Children of the trainer must not outlive it, nor hold its pipes open.
  stopper.kill();
  const drained = setTimeout(() => {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, DRAIN_MS);
  await closed;
  clearTimeout(drained);
  return { code, signal };
}

function environment(run: TrainerRun): Record<string, string> {
  const threads = String(run.request.threads);
  const inherited = Object.fromEntries(
    ['PATH', 'HOME', 'LANG', 'LC_ALL', 'TZ'].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  return {
    ...inherited,
    TMPDIR: run.scratchDir,
    OMP_NUM_THREADS: threads,
    OPENBLAS_NUM_THREADS: threads,
    MKL_NUM_THREADS: threads,
    // Waiting threads sleep: trainings run side by side, and spinning threads would starve each other.
    OMP_WAIT_POLICY: 'PASSIVE',
    // 2^20 cycles, a third of a millisecond; by default OpenBLAS spins for 2^26, also while Python imports.
    OPENBLAS_THREAD_TIMEOUT: '20',
    PYTHONUNBUFFERED: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONHASHSEED: '0',
    PERENNIAL_WATCH_STDIN: '1',
    ...run.env,
  };
}

async function collect(run: TrainerRun): Promise<{ result: TrainerResult; modelPath: string }> {
  const modelPath = join(run.request.outputDir, 'model.onnx');
  // lstat: a link could make the caller store any file of this machine as a model.
  const model = await lstat(modelPath).catch(() => undefined);
  if (!model?.isFile() || model.size === 0)
    throw contractError(run, 'ended without writing output/model.onnx');
  const resultPath = join(run.request.outputDir, 'result.json');
  const file = await lstat(resultPath).catch(() => undefined);
  if (!file?.isFile()) throw contractError(run, 'ended without writing output/result.json');
  const parsed = trainerResult.safeParse(await readJson(resultPath));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw contractError(
      run,
      `wrote a malformed output/result.json (${issue?.path.join('.') || 'root'}: ${issue?.message ?? 'invalid'})`,
    );
  }
  return { result: parsed.data, modelPath };
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function failed(run: TrainerRun, end: ProgramEnd, lastLines: string): PerennialError {
  const how = end.signal === null ? `ended with code ${end.code}` : `was killed by ${end.signal}`;
  const hint = end.signal === 'SIGKILL' ? ' (often: not enough memory)' : '';
  const words = lastLines === '' ? 'It wrote nothing to standard error.' : lastLines;
  // A signal from outside says nothing about the data: another attempt, perhaps elsewhere, can succeed.
  return new PerennialError(
    'TrainerFailed',
    `The trainer "${run.request.trainer}" ${how}${hint}. ${words}`,
    end.signal !== null,
  );
}

function contractError(run: TrainerRun, what: string): PerennialError {
  return new PerennialError(
    'TrainerContract',
    `The trainer "${run.request.trainer}" ${what}. See trainers/README.md.`,
  );
}

function startMessage(child: ChildProcess, cause: unknown): string {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return `The trainer program "${child.spawnfile}" did not start: ${reason}. Check its path and that it may be executed.`;
}
