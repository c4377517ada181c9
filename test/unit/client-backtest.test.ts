import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { progressLines } from '../../client/backtest.ts';
import { registerBacktestCommand } from '../../client/commands/backtest.ts';
import { assertNewFile, writeNewFile } from '../../client/new-file.ts';
import type { BacktestProgress } from '../../contracts/backtest.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-new-file-'));
  await writeFile(join(folder, 'there.html'), 'old');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a file that is to hold a result', () => {
  it.each([
    [
      'is there already',
      () => join(folder, 'there.html'),
      /--out: .*there\.html is already there; name a new file/,
    ],
    ['is in no folder', () => join(folder, 'none', 'new.html'), /--out: .*cannot be written/],
    ['is a folder', () => folder, /is already there/],
  ])('is refused where it %s, before the work', async (_, path, words) => {
    await expect(assertNewFile(path(), '--out')).rejects.toThrow(words);
  });

  it('is written where it is new, and never over another', async () => {
    const path = join(folder, 'new.html');
    await assertNewFile(path, '--out');
    await writeNewFile(path, 'page', '--out');
    expect(await readFile(path, 'utf8')).toBe('page');
    await expect(writeNewFile(path, 'other', '--out')).rejects.toThrow('--out');
    expect(await readFile(path, 'utf8')).toBe('page');
  });

  it('is looked at by the command before anything is connected or started', async () => {
    const spec = new URL('../../examples/bank/continuous.yaml', import.meta.url).pathname;
    const told = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const program = new Command().option('--json').option('--data-dir <folder>');
    registerBacktestCommand(program);
    try {
      const out = ['--out', join(folder, 'there.html'), '--data-dir', join(folder, 'no-platform')];
      await program.parseAsync(['backtest', spec, '--from', '2009-05-01', '--to', '2009-07-01', ...out], {
        from: 'user',
      });
      expect(told.mock.calls.join('')).toContain('there.html is already there');
    } finally {
      told.mockRestore();
      process.exitCode = 0;
    }
  });
});

describe('how far a back-test is', () => {
  const at = (
    stage: BacktestProgress['stage'],
    ...done: [number, number, string | null][]
  ): BacktestProgress => ({
    began: '2026-01-01T00:00:00.000Z',
    stage,
    windows: 18,
    policies: done.map(([count, retrainings, training], i) => ({
      policy: ['never', 'on-drift'][i] ?? '',
      done: count,
      retrainings,
      training,
    })),
  });

  it('is told stage by stage, and of each policy when it has gone on', () => {
    const [reading, begun, later, trained] = [
      at('reading the data', [0, 0, null], [0, 0, null]),
      at('replaying', [6, 0, null], [0, 0, null]),
      at('replaying', [6, 0, null], [4, 0, '2009-09-01T00:00:00.000Z']),
      at('replaying', [12, 0, null], [4, 1, null]),
    ] as const;
    expect(progressLines(undefined, reading)).toEqual(['reading the data']);
    expect(progressLines(reading, begun)).toEqual(['replaying', 'never     6 of 18 windows, 0 retrainings']);
    expect(progressLines(begun, later)).toEqual([
      'on-drift  4 of 18 windows, 0 retrainings; training as of 2009-09-01',
    ]);
    expect(progressLines(later, trained)).toEqual([
      'never     12 of 18 windows, 0 retrainings',
      'on-drift  4 of 18 windows, 1 retraining',
    ]);
    expect(progressLines(trained, trained)).toEqual([]);
  });
});
