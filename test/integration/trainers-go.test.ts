import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TrainerEvent, TrainerRequest } from '../../contracts/trainer.ts';
import { writeNpy } from '../../lib/npy.ts';
import { type Programs, programCommand, readPrograms } from '../../lib/processes/programs.ts';
import { runTrainer } from '../../lib/processes/run-program.ts';
import { FEATURES, predict, python, requestFor, sample, scratchFolder, TASKS } from './trainers-support.ts';

const SOURCE = fileURLToPath(new URL('../../examples/trainers/go', import.meta.url));
const REFERENCE = fileURLToPath(new URL('linear-reference.py', import.meta.url));
const run = promisify(execFile);

let built = '';
let programs: Programs = {};
beforeAll(async () => {
  built = await mkdtemp(join(tmpdir(), 'perennial-go-'));
  await run('go', ['build', '-o', join(built, 'linear'), '.'], {
    cwd: SOURCE,
    // It needs nothing but Go itself.
    env: { ...process.env, GOFLAGS: '', GOPROXY: 'off', GOTOOLCHAIN: 'local' },
  }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      throw new Error('These tests build a trainer in Go, and there is no "go" in PATH: https://go.dev/dl');
    throw error;
  });
  const path = join(built, 'programs.json');
  await writeFile(path, JSON.stringify({ 'go-linear': { command: ['./linear'] } }));
  programs = readPrograms(path);
});
afterAll(() => rm(built, { recursive: true, force: true }));

let folder = { path: '', remove: async () => {} };
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder.remove());

const EXACT = { l2: 0.01, tolerance: 1e-10 };

async function train(
  request: TrainerRequest,
  options: {
    env?: Record<string, string>;
    signal?: AbortSignal;
    onEvent?: (event: TrainerEvent) => void;
  } = {},
) {
  const { env, ...command } = programCommand({ programs }, { program: 'go-linear' });
  const events: TrainerEvent[] = [];
  const outcome = await runTrainer({
    ...command,
    request,
    scratchDir: folder.path,
    signal: options.signal ?? new AbortController().signal,
    env: { ...env, ...options.env },
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
  });
  return { ...outcome, events };
}

const differences = (one: ArrayLike<number>, two: ArrayLike<number>): number[] =>
  Array.from(one, (value, at) => Math.abs(value - (two[at] ?? Number.NaN)));

async function reference(request: TrainerRequest): Promise<number[]> {
  const path = join(folder.path, 'reference.json');
  await writeFile(path, JSON.stringify(request));
  const { stdout } = await run(python, [REFERENCE, path]);
  return JSON.parse(stdout);
}

describe('the trainer in Go', () => {
  it.each(
    TASKS.flatMap((task) => [
      { task, weighted: false },
      { task, weighted: true },
    ]),
  )("gives scikit-learn's answers: $task, weighted: $weighted", async ({ task, weighted }) => {
    const plain = await requestFor('command', task, folder.path, { parameters: EXACT, maxIterations: 5_000 });
    const weights = join(folder.path, 'weights.npy');
    await writeNpy(
      weights,
      Float32Array.from({ length: 800 }, (_, row) => row % 3),
      [800],
    );
    const request = weighted ? { ...plain, train: { ...plain.train, weights } } : plain;
    const { result, events, modelPath } = await train(request);
    // Flat before the iterations were used up.
    expect(result.iterations).toBeLessThan(5_000);
    expect(result.parameters).toEqual(EXACT);
    expect(result.libraries.go).toMatch(/^1\.\d+/);

    const rows = 300;
    const { name, dims, values } = await predict(modelPath, sample(task, rows, 2));
    const outputs = { binary: 2, multiclass: 3, regression: 1 }[task];
    expect(name).toBe(task === 'regression' ? 'prediction' : 'probabilities');
    expect(dims).toEqual([rows, outputs]);
    const expected = await reference(request);
    expect(expected).toHaveLength(rows * outputs);
    // Numbers are about 50, in float32.
    expect(Math.max(...differences(values, expected))).toBeLessThan(task === 'regression' ? 1e-3 : 1e-5);

    const progress = events.flatMap((event) => (event.event === 'progress' ? [event] : []));
    const metric = task === 'regression' ? 'rmse' : 'log_loss';
    expect(progress.map(({ iteration }) => iteration)).toEqual(progress.map((_, at) => at + 1));
    expect(progress.at(-1)?.metrics[`train_${metric}`]).toBeLessThan(
      Number(progress[0]?.metrics[`train_${metric}`]),
    );
    if (task !== 'regression') {
      const { labels } = sample(task, rows, 2);
      const losses = Array.from(labels, (label, row) => -Math.log(values[row * outputs + label] ?? 0));
      const loss = losses.reduce((sum, value) => sum + value);
      expect(progress.at(-1)?.metrics.validation_log_loss).toBeCloseTo(loss / rows, 5);
    }
  });

  it('gives the same bytes with any number of threads', async () => {
    const request = await requestFor('command', 'multiclass', folder.path, { rows: 20_000 });
    const bytes = async (threads: number) =>
      readFile((await train({ ...request, threads, outputDir: join(folder.path, `${threads}`) })).modelPath);
    expect((await bytes(1)).equals(await bytes(4))).toBe(true);
  });

  it('goes on from its last checkpoint after a kill, and gives the very bytes of an undisturbed training', async () => {
    const parameters = { ...EXACT, tolerance: 0 };
    const request = await requestFor('command', 'multiclass', folder.path, {
      parameters,
      maxIterations: 1_000_000,
      rows: 4_000,
    });
    const by = await byHand(request);
    let last: { iteration: number; path: string } | undefined;
    for await (const line of createInterface({ input: by.child.stdout })) {
      const event: TrainerEvent = JSON.parse(line);
      if (event.event !== 'checkpoint') continue;
      last = event;
      by.child.kill('SIGKILL');
    }
    expect(await by.exit).toEqual([null, 'SIGKILL']);
    if (!last) throw new Error('No checkpoint before the end.');
    const maxIterations = last.iteration + 10;
    const at = (name: string) => join(folder.path, name);
    const resumed = await train({
      ...request,
      maxIterations,
      resumeFrom: last.path,
      outputDir: at('resumed'),
    });
    const whole = await train({ ...request, maxIterations, outputDir: at('whole') });
    const first = resumed.events.find((event) => event.event === 'progress');
    expect(first).toMatchObject({ iteration: last.iteration + 1 });
    expect(resumed.result.iterations).toBe(maxIterations);
    expect((await readFile(resumed.modelPath)).equals(await readFile(whole.modelPath))).toBe(true);
  });

  it('saves its work when it is told to stop', async () => {
    const request = await requestFor('command', 'binary', folder.path, {
      parameters: { tolerance: 0 },
      maxIterations: 10_000_000,
    });
    const controller = new AbortController();
    const events: TrainerEvent[] = [];
    const ended = train(request, {
      signal: controller.signal,
      onEvent: (event) => {
        events.push(event);
        if (event.event === 'progress' && event.iteration === 5) controller.abort(new Error('enough'));
      },
    });
    await expect(ended).rejects.toThrow('enough');
    const last = events.at(-1);
    expect(last).toMatchObject({ event: 'checkpoint' });
    if (last?.event === 'checkpoint')
      expect(JSON.parse(await readFile(last.path, 'utf8'))).toMatchObject({ Iteration: last.iteration });
  });

  it('leaves when its caller is gone', async () => {
    const request = await requestFor('command', 'binary', folder.path, {
      parameters: { tolerance: 0 },
      maxIterations: 10_000_000,
    });
    const { child, exit } = await byHand(request);
    await once(createInterface({ input: child.stdout }), 'line');
    child.stdin.end();
    expect(await exit).toEqual([143, null]);
  });

  it('begins no iteration after maxSeconds', async () => {
    const request = await requestFor('command', 'binary', folder.path, {
      parameters: { tolerance: 0 },
      maxIterations: 10_000_000,
      maxSeconds: 0.2,
    });
    const { result, events } = await train(request);
    expect(result.iterations).toBeLessThan(10_000_000);
    expect(events.at(-1)).toMatchObject({ event: 'log' });
  });

  it.each([
    [
      'an unknown parameter',
      { parameters: { L1: 3 } },
      'The parameter "L1" is unknown. Allowed: l2, tolerance.',
    ],
    ['a parameter out of range', { parameters: { l2: -1 } }, 'The parameter "l2" must be a number that'],
    ['names that do not fit', { featureNames: ['one'] }, `have ${FEATURES} columns but 1 names`],
    ['labels of no class', { classNames: ['low', 'high'] }, 'labels must be class indices from 0 to 1'],
    ['a checkpoint that is none', { resumeFrom: '/none' }, 'Start again without resumeFrom'],
  ])('refuses %s', async (_what, changes, words) => {
    const request = await requestFor('command', 'multiclass', folder.path, { rows: 30, ...changes });
    await expect(train(request)).rejects.toMatchObject({
      code: 'TrainerFailed',
      retryable: false,
      message: expect.stringContaining(words),
    });
  });

  it('refuses missing values, naming the feature', async () => {
    const request = await requestFor('command', 'binary', folder.path, { rows: 30 });
    const features = new Float32Array(30 * FEATURES).fill(0.5);
    features[3 * FEATURES + 2] = Number.NaN;
    await writeNpy(request.train.features, features, [30, FEATURES]);
    await expect(train(request)).rejects.toThrow(
      'ended with code 2. The training features hold missing or infinite values in "column 2"',
    );
  });
});

/** Starts the program as another caller would. */
async function byHand(request: TrainerRequest) {
  const { program, args } = programCommand({ programs }, { program: 'go-linear' });
  const path = join(folder.path, 'by-hand.json');
  await writeFile(path, JSON.stringify(request));
  const child = spawn(program, [...args, '--request', path], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { PERENNIAL_CHECKPOINT_SECONDS: '0.05', PERENNIAL_WATCH_STDIN: '1' },
  });
  return { child, exit: once(child, 'exit') };
}
