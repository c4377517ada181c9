import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { packageRoot } from '../client/platform/programs.ts';
import { machine, table } from './figures.ts';
import { installPeer, PEERS_FOLDER, peerPython } from './peer-environments.ts';
import { WholePlatform } from './whole-platform.ts';

/*
 * The same data, the same split, the same seconds, the same two cores: the default search, Optuna with LightGBM written by
 * hand, FLAML. Each figure is the metric on the untouched test rows.
 */

const run = promisify(execFile);
const SECONDS = 60;
const PEER = {
  name: 'search',
  venv: 'search',
  packages: [
    'flaml[automl]==2.7.0',
    'optuna==5.0.0',
    'lightgbm==4.7.0',
    'scikit-learn',
    'pandas',
    'pyarrow',
    'plotnine',
  ],
  script: [],
};
const EXAMPLES = join(packageRoot(), 'examples');

const option = (name: string): string | undefined => {
  const place = process.argv.indexOf(name);
  return place >= 0 ? process.argv[place + 1] : undefined;
};

interface Case {
  name: string;
  metric: string;
  spec: Record<string, unknown>;
}

/** A spec of an example with nothing but the default search, and a budget of time. */
function example(name: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const spec = parse(readFileSync(join(EXAMPLES, name, 'pipeline.yaml'), 'utf8'));
  return { ...spec, ...changes };
}

const cases = (data: string, seconds: number): Case[] => {
  const search = {
    candidates: undefined,
    training: { budget: { time: `${seconds}s`, trials: 10_000 } },
    evaluation: { gates: [], worstSlices: undefined },
    approval: { required: false },
    expectations: undefined,
    cache: undefined,
  };
  return [
    { name: 'flights', metric: 'roc_auc', spec: example('flights', search) },
    { name: 'bank', metric: 'roc_auc', spec: example('bank', search) },
    {
      name: 'digits',
      metric: 'log_loss',
      spec: {
        name: 'digits',
        task: 'multiclass',
        data: { sources: { digits: join(data, 'digits.csv') } },
        columns: { target: 'target', entity: 'id' },
        ...search,
      },
    },
    {
      name: 'diamonds',
      metric: 'root_mean_squared_error',
      spec: {
        name: 'diamonds',
        task: 'regression',
        data: { sources: { diamonds: join(data, 'diamonds.csv') } },
        columns: { target: 'price', entity: 'id' },
        ...search,
      },
    },
  ];
};

interface Outputs {
  split: {
    classNames: string[];
    positiveClass: string | null;
    train: { artifact: { sha256: string } };
    validation: { artifact: { sha256: string } };
    test: { artifact: { sha256: string } };
  };
  train: { search: { used: { trials: number; seconds: number } } };
  evaluate: { test: Record<string, number>; winner: { name: string } };
}

async function peer(script: string, question: object): Promise<{ value: number; trials: string }> {
  const { stdout } = await run(peerPython(PEER), [join(PEERS_FOLDER, script), JSON.stringify(question)], {
    env: { ...process.env, OMP_NUM_THREADS: '2', PYTHONDONTWRITEBYTECODE: '1' },
    maxBuffer: 2 ** 26,
  });
  return {
    value: Number(/metric=([\d.eE+-]+)/.exec(stdout)?.[1] ?? Number.NaN),
    trials: /trials=(\d+)/.exec(stdout)?.[1] ?? '?',
  };
}

async function main(): Promise<void> {
  const seconds = Number(option('--seconds') ?? SECONDS);
  const only = option('--only')?.split(',');
  await installPeer(PEER);
  const folder = mkdtempSync(join(tmpdir(), 'perennial-bench-search-'));
  const data = join(folder, 'data');
  mkdirSync(data);
  await run(peerPython(PEER), [join(PEERS_FOLDER, 'search_data.py'), data]);
  const platform = await WholePlatform.start(join(folder, 'platform'), [data, EXAMPLES]);
  const rows: string[][] = [];
  try {
    for (const { name, metric, spec } of cases(data, seconds)) {
      if (only && !only.includes(name)) continue;
      const known = Object.fromEntries(Object.entries(spec).filter(([, value]) => value !== undefined));
      const isExample = name === 'flights' || name === 'bank';
      const file = join(isExample ? join(EXAMPLES, name) : folder, `bench-${name}.json`);
      writeFileSync(file, JSON.stringify(known));
      let outputs: Outputs;
      try {
        outputs = (await platform.run(file)) as Outputs;
      } finally {
        rmSync(file);
      }
      const { split, evaluate, train } = outputs;
      const columns = Object(known.columns) as {
        target: string;
        entity?: string;
        timestamp?: string;
        ignored?: string[];
      };
      const question = {
        task: known.task,
        seconds,
        target: columns.target,
        classNames: split.classNames,
        positive: split.positiveClass,
        ignored: [columns.entity, columns.timestamp, ...(columns.ignored ?? [])].flat().filter(Boolean),
        ...Object.fromEntries(
          (['train', 'validation', 'test'] as const).map((part) => [
            part,
            platform.artifact(split[part].artifact.sha256),
          ]),
        ),
      };
      const optuna = await peer('search_optuna.py', question);
      const flaml = await peer('search_flaml.py', question);
      const ours = evaluate.test[metric] ?? Number.NaN;
      rows.push([
        `${name} (${metric})`,
        `${ours.toFixed(4)} (${evaluate.winner.name}, ${train.search.used.trials} trials, ${train.search.used.seconds.toFixed(0)} s)`,
        `${optuna.value.toFixed(4)} (${optuna.trials} trials)`,
        `${flaml.value.toFixed(4)} (${flaml.trials} trials)`,
      ]);
      process.stdout.write(`${rows.at(-1)?.join(' | ')}\n`);
    }
  } finally {
    await platform.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
  process.stdout.write(
    `\n${machine()}\n${table([`test metric after ${seconds} s`, 'Perennial, default search', 'Optuna + LightGBM by hand', 'FLAML 2.7.0'], rows)}\n`,
  );
}

await main();
