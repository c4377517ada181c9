import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { LONG_FILES } from '../support/longest-first.ts';

it('the files that start first are there', () => {
  const absent = LONG_FILES.filter(
    (name) => !existsSync(fileURLToPath(new URL(`../${name}`, import.meta.url))),
  );
  expect(absent).toEqual([]);
  expect(new Set(LONG_FILES).size).toBe(LONG_FILES.length);
});
