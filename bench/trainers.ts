import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type TrainerName, trainerName } from '../contracts/spec/candidates.ts';
import type { TrainerRequest } from '../contracts/trainer.ts';
import { seededRandom } from '../domain/random.ts';
import { writeNpy } from '../lib/npy.ts';
import { runTrainer } from '../lib/processes/run-program.ts';
import { trainerCommand } from '../trainers/catalog.ts';
import { figures, machine, table } from './figures.ts';

const run = promisify(execFile);
const [ROWS, COLUMNS, THREADS, ITERATIONS] = [100_000, 28, 2, 100];
/** Those of TensorFlow.js train as many epochs, in batches of so many rows, one hidden layer where there is one. */
const [EPOCHS, NEURAL] = [5, { mlp: { hidden: '64', batch_size: 512 }, tfjs_linear: { batch_size: 512 } }];
const PYTHON = fileURLToPath(new URL('../.venv/bin/python', import.meta.url));
const peer = (name: string): string => fileURLToPath(new URL(`./peers/${name}`, import.meta.url));

const isNeural = (trainer: TrainerName): trainer is keyof typeof NEURAL => trainer in NEURAL;

const option = (name: string): string | undefined => {
  const place = process.argv.indexOf(name);
  return place >= 0 ? process.argv[place + 1] : undefined;
};

/** Seconds of the library's fit alone, and of the whole process around it. */
async function measureBare(trainer: TrainerName, folder: string): Promise<{ fit: number; whole: number }> {
  const begin = performance.now();
  const [program, script] = isNeural(trainer)
    ? [process.execPath, peer('e_tfjs.mjs')]
    : [PYTHON, peer('e_trainers.py')];
  const { stdout } = await run(program, [script, trainer, folder], {
    env: {
      ...process.env,
      THREADS: String(THREADS),
      OMP_WAIT_POLICY: 'PASSIVE',
      PYTHONDONTWRITEBYTECODE: '1',
    },
  });
  const [, fit = Number.NaN] = / s_mmm=([\d.]+)/.exec(stdout) ?? [];
  return { fit: Number(fit), whole: (performance.now() - begin) / 1_000 };
}

/** Seconds from the start of our trainer to its checked ONNX model. */
async function measureOurs(trainer: TrainerName, folder: string): Promise<number> {
  const scratchDir = mkdtempSync(join(folder, 'ours-'));
  const numbers = trainer === 'linear';
  const request: TrainerRequest = {
    schemaVersion: 1,
    task: numbers ? 'regression' : 'binary',
    trainer,
    train: {
      features: join(folder, 'features.npy'),
      labels: join(folder, numbers ? 'numbers.npy' : 'labels.npy'),
    },
    featureNames: Array.from({ length: COLUMNS }, (_, column) => `c${column}`),
    classNames: numbers ? [] : ['no', 'yes'],
    parameters: isNeural(trainer) ? NEURAL[trainer] : {},
    seed: 7,
    threads: THREADS,
    maxIterations: isNeural(trainer) ? EPOCHS : ITERATIONS,
    checkpointDir: join(scratchDir, 'checkpoints'),
    outputDir: join(scratchDir, 'output'),
  };
  const begin = performance.now();
  await runTrainer({
    ...trainerCommand(trainer, { python: PYTHON }),
    request,
    scratchDir,
    onEvent: () => undefined,
    signal: new AbortController().signal,
  });
  return (performance.now() - begin) / 1_000;
}

async function writeData(folder: string): Promise<void> {
  const random = seededRandom(1);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const features = Float32Array.from({ length: ROWS * COLUMNS }, normal);
  const numbers = Float32Array.from({ length: ROWS }, (_, row) => {
    const at = (column: number) => features[row * COLUMNS + column] ?? 0;
    return 2 * at(0) - at(1) + at(0) * at(2) + Math.sin(2 * at(3)) + 2 * normal();
  });
  await writeNpy(join(folder, 'features.npy'), features, [ROWS, COLUMNS]);
  await writeNpy(join(folder, 'numbers.npy'), numbers, [ROWS]);
  const labels = Int32Array.from(numbers, (value) => Number(value > 0));
  await writeNpy(join(folder, 'labels.npy'), labels, [ROWS]);
}

/**
 * Our trainers by the process contract, against the bare fit of their library with the same parameters, in turn.
 * `--rounds N` is 3 where it is left out; `--only a,b` names trainers.
 */
export async function trainers(): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const rounds = Number(option('--rounds') ?? 3);
  const only = option('--only')?.split(',');
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-trainers-'));
  try {
    await writeData(folder);
    say(`${machine()}\n`);
    const rows: string[][] = [];
    for (const trainer of trainerName.options.filter((name) => only?.includes(name) ?? true)) {
      const [fits, wholes, ours]: [number[], number[], number[]] = [[], [], []];
      for (let round = 0; round < rounds; round += 1) {
        const bare = await measureBare(trainer, folder);
        fits.push(bare.fit);
        wholes.push(bare.whole);
        ours.push(await measureOurs(trainer, folder));
      }
      const [fit, whole, own] = [fits, wholes, ours].map((values) => figures(values).median);
      rows.push([
        trainer,
        ...[fit, whole, own].map((seconds) => (seconds ?? Number.NaN).toFixed(2)),
        ((own ?? Number.NaN) - (fit ?? Number.NaN)).toFixed(2),
        ((own ?? Number.NaN) / (whole ?? Number.NaN)).toFixed(2),
      ]);
      say(rows.at(-1)?.join('  ') ?? '');
    }
    const head = [
      `${ROWS} × ${COLUMNS}, ${ITERATIONS} iterations or ${EPOCHS} epochs; median of ${rounds}, s`,
      'bare fit',
      'its process',
      'ours, whole',
      'ours − bare fit',
      'ours / its process',
    ];
    say(`\n${table(head, rows)}\n\n${machine()}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await trainers();
