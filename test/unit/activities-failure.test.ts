import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { logFields, toFailure } from '../../activities/failure.ts';
import { PerennialError } from '../../contracts/errors.ts';

/** Gives the error that the work throws. */
function thrownBy(work: () => unknown): Error {
  try {
    work();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('nothing was thrown');
}

describe('an error that nobody foresaw', () => {
  const errors = {
    parser: thrownBy(() => JSON.parse('Ann Example, 4711')),
    engine: new Error("Conversion Error: Could not convert string 'Ann Example 4711' to INT32"),
    'engine, on several lines': new Error(
      "Conversion Error: Could not convert string 'Ann\n    at 4711' to X",
    ),
  };

  it.each(Object.entries(errors))('quotes no row, in the history or the log: %s', (_name, error) => {
    const failure = toFailure(error);
    expect(failure).toMatchObject({ type: 'StageFailed', nonRetryable: false });
    expect(failure.message).toBe(`an unexpected ${error.name}; see the worker's log`);
    expect(JSON.stringify(logFields(error))).not.toMatch(/Ann|4711/);
    expect(failure.cause).toBeUndefined();
  });

  it('keeps its kind and where it happened for the log', () => {
    const fields = logFields(errors.engine);
    expect(fields).toMatchObject({
      error: 'Error',
      reason: 'Conversion Error: Could not convert string … to INT32',
      at: expect.arrayContaining([expect.stringMatching(/^at .*activities-failure\.test\.ts/)]),
    });
  });

  it('keeps a code of the system, which says what is to be done', () => {
    const full = Object.assign(new Error("ENOSPC: no space left on device, write '/data/x'"), {
      code: 'ENOSPC',
    });
    expect(toFailure(full).message).toBe("an unexpected Error ENOSPC; see the worker's log");
    const odd = Object.assign(new Error('x'), { code: 'Ann Example' });
    expect(toFailure(odd).message).toBe("an unexpected Error; see the worker's log");
  });

  it('that is no error at all is not quoted either', () => {
    expect(toFailure('Ann').message).toBe("an unexpected string; see the worker's log");
    expect(logFields('Ann')).toEqual({ error: 'string' });
  });
});

it('our own words are kept', () => {
  const error = new PerennialError('SqlInvalid', 'data.sql: only a SELECT is allowed');
  expect(toFailure(error)).toMatchObject({ type: 'SqlInvalid', message: error.message, nonRetryable: true });
  expect(logFields(error)).toEqual({ code: 'SqlInvalid', reason: error.message });
  const failure = ApplicationFailure.nonRetryable('words', 'Kind');
  expect(toFailure(failure)).toBe(failure);
  expect(logFields(failure)).toEqual({ code: 'Kind', reason: 'words' });
});
