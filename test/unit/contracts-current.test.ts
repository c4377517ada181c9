import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../contracts/errors.ts';
import { pipelineJsonSchema } from '../../contracts/spec/json-schema.ts';

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');

describe('what is generated or documented from the contracts', () => {
  it('has a current JSON Schema (npm run generate:schema)', () => {
    expect(JSON.parse(read('contracts/spec/pipeline.schema.json'))).toEqual(
      JSON.parse(JSON.stringify(pipelineJsonSchema())),
    );
  });

  it('has a section in docs/errors.md for each error code', () => {
    const documented = [...read('docs/errors.md').matchAll(/^## (\w+)$/gm)].map((match) => match[1]);
    expect(documented).toEqual(Object.keys(ERROR_CODES));
  });
});
