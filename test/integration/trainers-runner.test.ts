import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { TrainerEvent } from '../../contracts/trainer.ts';
import { ownScript } from '../../lib/processes/own-script.ts';
import { runTrainer, type TrainerRun } from '../../lib/processes/run-program.ts';
import { trainerCommand } from '../../trainers/catalog.ts';
import { ITERATIVE, predict, python, requestFor, sample, scratchFolder } from './trainers-support.ts';

let folder = { path: '', remove: async () => {} };
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder.remove());

const RESULT = `{ schemaVersion: 1, iterations: 1, bestIteration: 1, parameters: {}, libraries: {} }`;
/** Statements of a trainer in a few lines of JavaScript, to be put together. */
const start = `
  const fs = require('node:fs');
  const request = JSON.parse(fs.readFileSync(process.argv[process.argv.indexOf('--request') + 1], 'utf8'));
  const model = () => fs.writeFileSync(request.outputDir + '/model.onnx', 'model');
  const result = (value = ${RESULT}) => fs.writeFileSync(request.outputDir + '/result.json', JSON.stringify(value));
`;

/** Runs a program made of statements; `-` because Node takes options before a script for its own. */
async function run(program: string, changes: Partial<TrainerRun> = {}) {
  const script = join(folder.path, 'program.cjs');
  await writeFile(script, start + program);
  const events: TrainerEvent[] = [];
  const outcome = runTrainer({
    program: process.execPath,
    args: [script],
    request: await requestFor('custom', 'binary', folder.path, { rows: 2 }),
    scratchDir: folder.path,
    onEvent: (event) => events.push(event),
    signal: new AbortController().signal,
    ...changes,
  });
  return { events, outcome };
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

const gone = (pid: number) => vi.waitUntil(() => !alive(pid), { timeout: 15_000, interval: 20 });

describe('a trainer program', () => {
  it('may print what it likes among its events', async () => {
    const { events, outcome } = await run(`
      console.log('Loading data…');
      console.log('{"event":"progress","iteration":1,"maxIterations":30,"metrics":{"train_log_loss":NaN,"train_auc":0.5}}');
      model(); result();
    `);
    expect(await outcome).toMatchObject({
      result: { iterations: 1 },
      modelPath: join(folder.path, 'output', 'model.onnx'),
    });
    expect(events).toEqual([
      { event: 'log', level: 'info', message: 'Loading data…' },
      { event: 'log', level: 'warning', message: 'Not finite, therefore left out: train_log_loss.' },
      { event: 'progress', iteration: 1, maxIterations: 30, metrics: { train_auc: 0.5 } },
    ]);
  });

  it("sees none of its caller's variables but the harmless ones", async () => {
    process.env.PERENNIAL_SECRET_TEST = 'secret';
    try {
      const { events, outcome } = await run(
        `console.log(Object.keys(process.env).sort().join()); model(); result();`,
        {
          env: { EXTRA: '1' },
        },
      );
      await outcome;
      const [event] = events;
      const names = event?.event === 'log' ? event.message.split(',') : [];
      expect(names).toContain('PATH');
      expect(names).toContain('EXTRA');
      expect(names).toContain('OMP_NUM_THREADS');
      expect(names).not.toContain('PERENNIAL_SECRET_TEST');
      expect(names.length).toBeLessThan(18);
    } finally {
      delete process.env.PERENNIAL_SECRET_TEST;
    }
  });

  it('that fails is reported with its last words', async () => {
    const { outcome } = await run(
      `for (let i = 1; i <= 50; i++) console.error('line ' + i); process.exitCode = 3;`,
    );
    const error = await outcome.catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'TrainerFailed', retryable: false });
    expect(String(error)).toContain('The trainer "custom" ended with code 3. line 31\n');
    expect(String(error)).toMatch(/line 50$/);
    expect(await readFile(join(folder.path, 'stderr.log'), 'utf8')).toMatch(/^line 1\nline 2\n/);
  });

  it('that is killed may be tried again', async () => {
    const { outcome } = await run(`process.kill(process.pid, 'SIGKILL');`);
    await expect(outcome).rejects.toMatchObject({ code: 'TrainerFailed', retryable: true });
    await expect(outcome).rejects.toThrow(/was killed by SIGKILL \(often: not enough memory\)/);
  });

  it('that does not exist is named', async () => {
    const { outcome } = await run('', { program: '/nowhere/trainer' });
    await expect(outcome).rejects.toMatchObject({ code: 'TrainerFailed' });
    await expect(outcome).rejects.toThrow(/"\/nowhere\/trainer" did not start.*ENOENT/);
  });

  it.each([
    ['without a model', 'result();', /without writing output\/model\.onnx/],
    [
      'with an empty model',
      "fs.writeFileSync(request.outputDir + '/model.onnx', ''); result();",
      /without writing output\/model\.onnx/,
    ],
    [
      'with a link as its model',
      "fs.symlinkSync('/etc/hostname', request.outputDir + '/model.onnx'); result();",
      /model\.onnx/,
    ],
    ['without a result', 'model();', /without writing output\/result\.json/],
    [
      'with a broken result',
      "model(); fs.writeFileSync(request.outputDir + '/result.json', '{');",
      /malformed output\/result\.json/,
    ],
    [
      'with another result',
      'model(); result({ schemaVersion: 1, iterations: "many" });',
      /malformed.*\(iterations: /,
    ],
  ])('that ends %s broke the contract', async (_what, program, message) => {
    const { outcome } = await run(program);
    await expect(outcome).rejects.toMatchObject({ code: 'TrainerContract', retryable: false });
    await expect(outcome).rejects.toThrow(message);
  });

  it('that never stops printing is stopped', async () => {
    const { outcome } = await run(
      `
      const chunk = Buffer.alloc(1 << 20, 'x\\n');
      const more = () => process.stdout.write(chunk, more);
      more();
    `,
      { onEvent: () => undefined },
    );
    await expect(outcome).rejects.toThrow(/printed more than 67108864 bytes or 100000 lines/);
  });

  it('is stopped when the caller fails on an event', async () => {
    const failure = new Error('heartbeat failed');
    const { outcome } = await run(`console.log(process.pid); setInterval(() => {}, 1000);`, {
      onEvent: () => {
        throw failure;
      },
    });
    await expect(outcome).rejects.toBe(failure);
  });

  it('that ignores SIGTERM is killed, with its children', async () => {
    const controller = new AbortController();
    let pids: number[] = [];
    const { outcome } = await run(
      `process.on('SIGTERM', () => {});
       const child = require('node:child_process').spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); console.log('up'); setInterval(() => {}, 1000)"], { stdio: ['ignore', 'pipe', 'ignore'] });
       child.stdout.once('data', () => console.log(process.pid + ' ' + child.pid));
       setInterval(() => {}, 1000);`,
      {
        killAfterMs: 100,
        signal: controller.signal,
        onEvent: (event) => {
          pids = event.event === 'log' ? event.message.split(' ').map(Number) : [];
          controller.abort(new Error('cancelled'));
        },
      },
    );
    await expect(outcome).rejects.toThrow('cancelled');
    expect(pids).toHaveLength(2);
    for (const pid of pids) await gone(pid);
  });

  it('leaves no children behind when it ends well', async () => {
    const { events, outcome } = await run(`
      const child = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'inherit' });
      console.log(child.pid); model(); result(); child.unref();
    `);
    await outcome;
    const [event] = events;
    await gone(Number(event?.event === 'log' ? event.message : 0));
  });

  it.each([
    ['itself', 'hold(200)'],
    ['its children', "require('node:child_process').fork(__filename, ['child'], { stdio: 'ignore' })"],
  ])('that holds more memory than it may is killed: %s', async (_who, statement) => {
    const { outcome } = await run(
      `const held = [];
       const hold = (count) => { for (let at = 0; at < count; at++) held.push(Buffer.alloc(1e6, 1)); };
       process.argv.includes('child') ? hold(200) : ${statement};
       setInterval(() => held.length, 1000);`,
      { memoryBytes: 150e6 },
    );
    await expect(outcome).rejects.toMatchObject({ code: 'TrainerFailed', retryable: false });
    await expect(outcome).rejects.toThrow(
      /^The trainer "custom" used \d{3} MB of memory, more than training\.memory \(150 MB\)/,
    );
  });

  it('that holds less memory than it may is left alone', async () => {
    const { outcome } = await run(`setTimeout(() => { model(); result(); }, 600);`, { memoryBytes: 1e9 });
    expect(await outcome).toMatchObject({ result: { iterations: 1 } });
  });

  it('is not started after an abort', async () => {
    const { outcome } = await run(`fs.writeFileSync(request.outputDir + '/started', '');`, {
      signal: AbortSignal.abort(new Error('too late')),
    });
    await expect(outcome).rejects.toThrow('too late');
    await expect(stat(join(folder.path, 'output', 'started'))).rejects.toThrow(/ENOENT/);
  });
});

describe('the example in the README', () => {
  it('keeps the contract', async () => {
    const readme = await readFile(join(import.meta.dirname, '../../trainers/README.md'), 'utf8');
    const [, program = ''] = /```python\n([\s\S]*?)```/.exec(readme) ?? [];
    const script = join(folder.path, 'mean.py');
    await writeFile(script, program);
    const request = await requestFor('mean', 'regression', folder.path);
    const { modelPath } = await runTrainer({
      program: python,
      args: [script],
      request,
      scratchDir: folder.path,
      onEvent: () => undefined,
      signal: new AbortController().signal,
    });
    const data = sample('regression', 800, 1);
    const { name, dims, values } = await predict(modelPath, data);
    expect({ name, dims }).toEqual({ name: 'prediction', dims: [800, 1] });
    const mean = Array.from(data.labels).reduce((sum, label) => sum + label, 0) / 800;
    expect(values[3]).toBeCloseTo(mean, 2);
  });
});

describe.each(ITERATIVE)('%s', (trainer) => {
  it('does not outlive its caller', async () => {
    // The caller is a process of its own, killed without a chance to clean up.
    const request = await requestFor(trainer, 'binary', folder.path, {
      maxIterations: 1_000_000,
      parameters: trainer === 'random_forest' ? {} : { early_stopping_rounds: 0 },
      rows: 2000,
    });
    const run = {
      ...trainerCommand(trainer, { python }),
      request,
      scratchDir: folder.path,
      env: { PERENNIAL_CHECKPOINT_SECONDS: '0.1' },
    };
    const caller = join(folder.path, 'caller.mjs');
    const { path: runner, execArgv } = ownScript(import.meta.url, '../../lib/processes/run-program.ts');
    await writeFile(
      caller,
      `import { runTrainer } from ${JSON.stringify(pathToFileURL(runner).href)};
       process.stdout.on('error', () => {});
       void runTrainer({ ...${JSON.stringify(run)}, signal: new AbortController().signal, onEvent: (event) => console.log(event.event) });`,
    );
    const process_ = spawn(process.execPath, [...execArgv, caller], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(process_, 'exit');
    for await (const chunk of process_.stdout) if (String(chunk).includes('checkpoint')) break;
    const trainers = await childrenOf(process_.pid ?? 0, 'request.json');
    expect(trainers).toHaveLength(1);
    process_.kill('SIGKILL');
    await exit;
    for (const pid of trainers) await gone(pid);
  });
});

/** Process ids of the direct children whose command line contains a text. */
async function childrenOf(parent: number, text: string): Promise<number[]> {
  const ps = spawn('ps', ['-A', '-o', 'pid=,ppid=,args='], { stdio: ['ignore', 'pipe', 'inherit'] });
  let listing = '';
  for await (const chunk of ps.stdout) listing += chunk;
  return listing
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, ppid, ...args]) => Number(ppid) === parent && args.join(' ').includes(text))
    .map(([pid]) => Number(pid));
}
