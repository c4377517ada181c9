import { describe, expect, it } from 'vitest';
import type { TrainerEvent } from '../../contracts/trainer.ts';
import {
  MAX_LINE_BYTES,
  MAX_LINES,
  MAX_OUTPUT_BYTES,
  TrainerOutput,
} from '../../lib/processes/trainer-output.ts';

function eventsOf(...chunks: (string | Buffer)[]): TrainerEvent[] {
  const events: TrainerEvent[] = [];
  const output = new TrainerOutput((event) => events.push(event));
  for (const chunk of chunks) output.push(Buffer.from(chunk));
  output.end();
  return events;
}

const progress = { event: 'progress', iteration: 3, maxIterations: 9, metrics: { train_rmse: 0.5 } } as const;

describe("a trainer's standard output", () => {
  it('is read line by line, wherever the chunks end', () => {
    const text = Buffer.from(
      `${JSON.stringify(progress)}\n{"event":"log","level":"info","message":"größer"}\n`,
    );
    for (let cut = 0; cut <= text.length; cut++) {
      expect(eventsOf(text.subarray(0, cut), text.subarray(cut))).toEqual([
        progress,
        { event: 'log', level: 'info', message: 'größer' },
      ]);
    }
  });

  it('may end without a newline', () => {
    expect(eventsOf(JSON.stringify(progress))).toEqual([progress]);
  });

  it('may hold what is no event: it becomes a log event', () => {
    const lines = ['Loading…', '{"event":"unknown"}', '{broken', '[1]', '42', 'null', '{"event":"progress"}'];
    expect(eventsOf(lines.join('\n'))).toEqual(
      lines.map((message) => ({ event: 'log', level: 'info', message })),
    );
  });

  it('skips empty lines', () => {
    expect(eventsOf('\n\r\n  \n')).toEqual([]);
  });

  it.each(['NaN', 'Infinity', '-Infinity', '1e999', 'null'])(
    'loses a metric that is %s, and says so',
    (number) => {
      const line = `{"event": "progress", "iteration": 3, "maxIterations": 9, "metrics": {"bad": ${number}, "train_rmse": 0.5}}`;
      expect(eventsOf(line)).toEqual([
        { event: 'log', level: 'warning', message: 'Not finite, therefore left out: bad.' },
        progress,
      ]);
    },
  );

  it('keeps the word NaN inside texts', () => {
    const event = { event: 'log', level: 'info', message: 'a, NaN, b' } as const;
    expect(eventsOf(JSON.stringify(event))).toEqual([event]);
  });

  it('is cut where a line is too long, and goes on after it', () => {
    const [first, second, ...rest] = eventsOf('x'.repeat(MAX_LINE_BYTES), 'yy\n', JSON.stringify(progress));
    expect(first).toMatchObject({ event: 'log', level: 'warning' });
    expect(first?.event === 'log' ? first.message.length : 0).toBeLessThan(1000);
    expect(second).toEqual(progress);
    expect(rest).toEqual([]);
  });

  it('is given up where it is too much', () => {
    const events: TrainerEvent[] = [];
    const output = new TrainerOutput((event) => events.push(event));
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    for (let sent = 0; sent < MAX_OUTPUT_BYTES; sent += chunk.length) output.push(chunk);
    expect(output.overflowed).toBe(false);
    output.push(Buffer.from(`\n${JSON.stringify(progress)}\n`));
    expect(output.overflowed).toBe(true);
    expect(events).toEqual([]);
  });

  it('is given up where it has too many lines', () => {
    let events = 0;
    const output = new TrainerOutput(() => events++);
    output.push(Buffer.alloc(2 * MAX_LINES, 'x\n'));
    expect(output.overflowed).toBe(false);
    output.push(Buffer.from('x\nx\nx\n'));
    expect(output.overflowed).toBe(true);
    expect(events).toBe(MAX_LINES + 1);
  });
});
