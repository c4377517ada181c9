import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findPython } from '../client/platform/programs.ts';
import { seededRandom } from '../domain/random.ts';
import { writeNpy } from '../lib/npy.ts';
import { figures, machine, table } from './figures.ts';
import { WholePlatform } from './whole-platform.ts';

/*
 * What the engine costs beside the trainers: a hundred trials of a trainer that returns at once, against a hundred bare
 * starts of the same program at the same parallelism. Temporal, MLflow, the artifact store and the judging are all in.
 */

const run = promisify(execFile);
const [TRIALS, PARALLELISM, ROWS, ROUNDS] = [100, 2, 1_000, 3];
const SCRIPT = join(import.meta.dirname, 'instant_trainer.py');

async function bareStarts(python: string, folder: string): Promise<number> {
  const labels = join(folder, 'labels.npy');
  await writeNpy(labels, new Float32Array(ROWS).fill(1), [ROWS]);
  const begin = performance.now();
  let waiting = TRIALS;
  const lane = async (number: number): Promise<void> => {
    const outputDir = join(folder, `out-${number}`);
    mkdirSync(outputDir, { recursive: true });
    const request = join(outputDir, 'request.json');
    writeFileSync(request, JSON.stringify({ train: { labels }, featureNames: ['x', 'y'], outputDir }));
    while (waiting-- > 0) await run(python, [SCRIPT, '--request', request]);
  };
  await Promise.all(Array.from({ length: PARALLELISM }, (_, i) => lane(i)));
  return (performance.now() - begin) / 1_000;
}

interface Outputs {
  train: { search: { used: { trials: number; seconds: number } } };
}

async function main(): Promise<void> {
  const python = findPython(undefined);
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-trials-'));
  const random = seededRandom(1);
  const rows = Array.from({ length: ROWS }, (_, i) => `${i},${random()},${random()},${random()}`);
  writeFileSync(join(folder, 'rows.csv'), `id,x,y,target\n${rows.join('\n')}\n`);
  const programs = join(folder, 'programs.json');
  writeFileSync(programs, JSON.stringify({ instant: { command: [python, SCRIPT] } }));
  const spec = join(folder, 'pipeline.json');
  writeFileSync(
    spec,
    JSON.stringify({
      name: 'instant',
      task: 'regression',
      data: { sources: { rows: 'rows.csv' } },
      columns: { target: 'target', entity: 'id' },
      candidates: [
        {
          name: 'instant',
          trainer: 'command',
          program: 'instant',
          search: { method: 'random', space: { nothing: { float: [0, 1] } } },
        },
      ],
      training: { budget: { trials: TRIALS }, parallelism: PARALLELISM },
      evaluation: { gates: [], resamples: 0, worstSlices: false },
      approval: { required: false },
    }),
  );
  const platform = await WholePlatform.start(join(folder, 'platform'), [folder], {
    PERENNIAL_PROGRAMS: programs,
  });
  const [bare, ours]: [number[], number[]] = [[], []];
  try {
    for (let round = 0; round < ROUNDS; round++) {
      bare.push(await bareStarts(python, folder));
      const { train } = (await platform.run(spec)) as Outputs;
      if (train.search.used.trials !== TRIALS) throw new Error('not all trials were trained');
      ours.push(train.search.used.seconds);
    }
  } finally {
    await platform.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  const [a, b] = [figures(bare), figures(ours)];
  const line = (name: string, { min, median, max }: typeof a) => [
    name,
    ...[min, median, max].map((value) => value.toFixed(1)),
    (median / a.median).toFixed(2),
  ];
  process.stdout.write(
    `${machine()}\n${table(
      [`${TRIALS} trainings, ${PARALLELISM} at a time, s`, 'min', 'median', 'max', '× bare'],
      [line('bare process starts', a), line('trials of a search', b)],
    )}\n`,
  );
}

await main();
