import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { PerennialError } from '../../contracts/errors.ts';
import {
  type TrainerEvent,
  type TrainerRequest,
  type TrainerResult,
  trainerRequest,
} from '../../contracts/trainer.ts';

const EXIT_REQUEST = 2;
/** What a shell reports for a program that SIGTERM ended. */
const EXIT_STOPPED = 143;
/** Older files are deleted: the caller copies each one when it hears of it. */
const KEPT_CHECKPOINTS = 3;

/** Thrown to leave after a stop, when the checkpoint is written. */
export class Stopped extends Error {}

/**
 * The trainer's side of the process contract, for trainers in TypeScript: one run, its request, whether it should
 * stop, and where its files go. `runTrainerProgram` makes it.
 */
export class TrainerSession {
  #stopping = false;
  #lastCheckpoint = performance.now();
  readonly #intervalMs = Number(process.env.PERENNIAL_CHECKPOINT_SECONDS ?? '5') * 1000;

  constructor(readonly request: TrainerRequest) {
    process.on('SIGTERM', () => this.#stop());
    // A caller that is gone reads nothing more; what remains is to save the work.
    process.stdout.on('error', () => this.#stop());
    // The caller holds the other end of standard input and never writes: its end is the caller's end. Opt-in,
    // because a trainer started by hand often has an empty standard input.
    if (process.env.PERENNIAL_WATCH_STDIN === '1') {
      process.stdin.on('close', () => this.#stop()).on('error', () => this.#stop());
      process.stdin.resume();
    }
  }

  /** True after SIGTERM or the caller's death: save a checkpoint, then throw {@link Stopped}. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** True when `maxSeconds` of this process's life are over: no further iteration may begin. */
  get outOfTime(): boolean {
    return performance.now() >= (this.request.maxSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  }

  get checkpointDue(): boolean {
    return performance.now() - this.#lastCheckpoint >= this.#intervalMs;
  }

  /** Prints one event as a JSON line. */
  emit(event: TrainerEvent): void {
    process.stdout.write(`${JSON.stringify(event)}\n`);
  }

  log(level: 'info' | 'warning', message: string): void {
    this.emit({ event: 'log', level, message });
  }

  /** Lets signals in. Call it between batches: nothing else can happen while JavaScript computes. */
  async breathe(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Writes `checkpoint-<iteration>.json` and tells the caller. */
  async saveCheckpoint(iteration: number, content: unknown): Promise<void> {
    const { checkpointDir } = this.request;
    const path = join(checkpointDir, `checkpoint-${String(iteration).padStart(8, '0')}.json`);
    await writeAtomically(path, JSON.stringify(content));
    this.#lastCheckpoint = performance.now();
    this.emit({ event: 'checkpoint', iteration, path });
    const names = (await readdir(checkpointDir))
      .filter((name) => /^checkpoint-\d{8}\.json$/.test(name))
      .sort();
    for (const old of names.slice(0, -KEPT_CHECKPOINTS)) await rm(join(checkpointDir, old), { force: true });
  }

  /** Writes the model, and the result last: whoever sees the result sees a whole model. */
  async finish(model: Uint8Array, result: TrainerResult): Promise<void> {
    await writeAtomically(join(this.request.outputDir, 'model.onnx'), model);
    await writeAtomically(join(this.request.outputDir, 'result.json'), JSON.stringify(result, null, 2));
  }

  #stop(): void {
    this.#stopping = true;
  }
}

/**
 * The main function of a trainer program: reads `--request`, runs `train`, ends the process. Errors become one
 * message on standard error and exit code 2 (the caller can mend it) or 1.
 */
export async function runTrainerProgram(train: (session: TrainerSession) => Promise<void>): Promise<never> {
  let code = 0;
  let message = '';
  try {
    await train(new TrainerSession(await readRequest()));
  } catch (error) {
    if (error instanceof Stopped) code = EXIT_STOPPED;
    else if (error instanceof PerennialError) [code, message] = [EXIT_REQUEST, error.message];
    else [code, message] = [1, error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
  if (message !== '') await new Promise((resolve) => process.stderr.write(`${message}\n`, resolve));
  await new Promise((resolve) => process.stdout.write('', resolve));
  process.exit(code);
}

async function readRequest(): Promise<TrainerRequest> {
  const path = parseArgs({ options: { request: { type: 'string' } }, strict: false }).values.request;
  if (typeof path !== 'string')
    throw new PerennialError('TrainerContract', 'Give the request: --request request.json');
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new PerennialError('TrainerContract', `The request ${path} cannot be read as JSON.`, false, {
      cause,
    });
  }
  const parsed = trainerRequest.safeParse(content);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.') || 'root';
  throw new PerennialError(
    'TrainerContract',
    `The request is malformed at ${where}: ${issue?.message ?? 'invalid'}.`,
  );
}

/** Readers see the old file or the whole new one, also after a crash. */
async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temp = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    const file = await open(temp, 'w');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } finally {
    await rm(temp, { force: true });
  }
}
