import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { trainerName } from '../../contracts/spec/candidates.ts';
import { defaultSpace } from '../../contracts/spec/default-spaces.ts';
import {
  type Dimension,
  type Parameters,
  type ParameterValue,
  searchSpace,
} from '../../contracts/spec/search.ts';
import { seededRandom } from '../../domain/random.ts';
import { linearParameters } from '../../trainers/typescript/linear-parameters.ts';
import { mlpParameters } from '../../trainers/typescript/mlp-parameters.ts';
import { python, scratchFolder, TRAINERS, tasksOf } from './trainers-support.ts';

const run = promisify(execFile);
const RANDOM_POINTS = 50;
const cases = TRAINERS.flatMap((trainer) => tasksOf(trainer).map((task) => ({ trainer, task })));

/** The value at a share of the way through a dimension. */
function valueAt(dimension: Dimension, share: number): ParameterValue {
  if ('choice' in dimension) {
    const { choice } = dimension;
    return choice[Math.min(choice.length - 1, Math.floor(share * choice.length))] ?? 0;
  }
  const [low, high] = 'float' in dimension ? dimension.float : dimension.int;
  const value = dimension.log ? low * (high / low) ** share : low + share * (high - low);
  const inside = Math.min(high, Math.max(low, value));
  return 'float' in dimension ? inside : Math.round(inside);
}

/** Both ends of every parameter, and points anywhere between. */
function points(space: Record<string, Dimension>): Parameters[] {
  const at = (share: () => number): Parameters =>
    Object.fromEntries(Object.entries(space).map(([name, dimension]) => [name, valueAt(dimension, share())]));
  const each = Object.entries(space).flatMap(([name, dimension]) =>
    'choice' in dimension ? dimension.choice.map((value) => ({ ...at(() => 0), [name]: value })) : [],
  );
  const random = seededRandom(5);
  return [at(() => 0), at(() => 1), ...each, ...Array.from({ length: RANDOM_POINTS }, () => at(random))];
}

/** What the table of the Python trainers says to many points: the parameters in force, or an error. */
const TABLE = `
import json, sys
import parameters
for trainer, task, given in json.load(open(sys.argv[1])):
    print(json.dumps(parameters.resolve(trainer, task, given)))
`;

describe('the default spaces', () => {
  it.each(trainerName.options)('of %s are spaces', (trainer) => {
    for (const task of ['binary', 'multiclass', 'regression'] as const)
      expect(searchSpace.safeParse(defaultSpace(trainer, task)).error).toBeUndefined();
  });

  it('hold only what the trainers take', async () => {
    const { path, remove } = await scratchFolder();
    try {
      const asked = cases
        .filter(({ trainer }) => trainer !== 'mlp')
        .flatMap(({ trainer, task }) =>
          points(defaultSpace(trainer, task)).map((point) => [trainer, task, point]),
        );
      const [program, file] = [join(path, 'table.py'), join(path, 'points.json')];
      await writeFile(program, TABLE);
      await writeFile(file, JSON.stringify(asked));
      const folder = join(import.meta.dirname, '../../trainers/python');
      const { stdout } = await run(python, [program, file], {
        env: { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
        maxBuffer: 2 ** 26,
      });
      const answers = stdout.trim().split('\n');
      expect(answers).toHaveLength(asked.length);
      answers.forEach((answer, index) => {
        expect(JSON.parse(answer)).toMatchObject(Object(asked[index]?.[2]));
      });
      expect(asked.length).toBeGreaterThan(RANDOM_POINTS * 10);
    } finally {
      await remove();
    }
  });

  it.each([
    ['mlp', mlpParameters],
    ['tfjs_linear', linearParameters],
  ] as const)('hold only what %s takes', (trainer, parameters) => {
    for (const point of points(defaultSpace(trainer, 'binary')))
      expect(parameters(point)).toMatchObject(point);
  });

  it('hold the defaults, which are the first trial, but for penalties of 0', async () => {
    const { stdout } = await run(
      python,
      [
        '-c',
        'import json, parameters as p; print(json.dumps([[t, k, p.resolve(t, k, {})] for t, pair in p.BY_TRAINER.items() for k, spec in zip(("binary", "regression"), pair) if spec]))',
      ],
      {
        env: {
          ...process.env,
          PYTHONPATH: join(import.meta.dirname, '../../trainers/python'),
          PYTHONDONTWRITEBYTECODE: '1',
        },
      },
    );
    const outside: string[] = [];
    for (const [trainer, task, defaults] of [
      ...JSON.parse(stdout),
      ['mlp', 'binary', mlpParameters({})],
      ['tfjs_linear', 'binary', linearParameters({})],
    ]) {
      for (const [name, dimension] of Object.entries(defaultSpace(trainer, task))) {
        const value = defaults[name];
        const inside =
          'choice' in dimension
            ? dimension.choice.includes(value)
            : ((ends) => value >= ends[0] && value <= ends[1])(
                'float' in dimension ? dimension.float : dimension.int,
              );
        if (!inside) outside.push(`${trainer} ${task} ${name} ${value}`);
      }
    }
    expect(outside.filter((line) => !line.endsWith(' 0'))).toEqual([]);
  });
});
