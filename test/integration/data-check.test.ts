import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { configFromEnv } from '../../lib/config.ts';
import { checkAgainstData, type DataCheck } from '../../lib/data/check.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

describe('a spec is checked against the data', () => {
  const check = async (...expectations: object[]): Promise<DataCheck> => {
    const people = await data.write('checked.csv', 'id,town,y\n1,Bonn,true\n2,Ulm,false\n');
    const towns = await data.write('places.csv', 'name,land\nBonn,NW\nUlm,BW\n');
    const spec = {
      ...{
        name: 'people',
        task: 'binary',
        candidates: ['logistic'],
        columns: { target: 'late', entity: 'id' },
      },
      data: {
        sources: { people: { path: people }, towns: { path: towns } },
        sql: 'SELECT id, y AS late, land FROM people JOIN towns ON town = name',
      },
    };
    return checkAgainstData(
      pipelineSpec.parse({ ...spec, expectations }),
      configFromEnv({ PERENNIAL_SOURCE_ROOTS: data.root }),
      data.folder,
    );
  };

  it('the rules of a source by its own columns', async () => {
    const fine = await check(
      { expect: 'not_null', column: 'late' },
      { expect: 'not_null', column: 'town', on: 'people' },
      { expect: 'foreign_key', column: 'town', references: 'towns.name', on: 'people' },
      { expect: 'row_count', min: 1, on: 'towns' },
    );
    expect(fine).toMatchObject({ columns: [{ name: 'id' }, { name: 'late' }, { name: 'land' }] });
  });

  it.each([
    [{ expect: 'not_null', column: 'y' }, 'ColumnMissing', /expectations\[0\]: there is no column y/],
    [
      { expect: 'not_null', column: 'twon', on: 'people' },
      'ColumnMissing',
      /expectations\[0\] \(source people\): .* did you mean town\?/,
    ],
    [{ expect: 'row_count', on: 'peple' }, 'SpecInvalid', /no source peple; did you mean people\?/],
    [
      { expect: 'foreign_key', column: 'land', references: 'towns.lnd' },
      'ColumnMissing',
      /\(source towns\): .* did you mean land\?/,
    ],
  ])('%o is refused', async (rule, code, words) => {
    await expect(check(rule)).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
  });
});
