import { afterAll, beforeAll, expect, it } from 'vitest';
import { protect } from '../../activities/protect.ts';
import { split } from '../../activities/split.ts';
import type { PersonalFinding } from '../../contracts/privacy.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { configFromEnv } from '../../lib/config.ts';
import { testFrame } from '../support/activity-frame.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const FOUND: PersonalFinding = {
  column: 'name',
  kind: 'person_name',
  confidence: 0.6,
  share: 1,
  verified: false,
  within: 'value',
  evidence: 'the name of the column',
};

let tables = 0;

/** Whether the table that models see is taken for a personal one, and how it and its train part lie in the store. */
async function run(privacy: object, findings: PersonalFinding[] = []) {
  // Other values each time: what was encrypted once stays so.
  const { table } = await data.table(
    `SELECT i AS id, 'Zelda' || i AS name, i + ${100 * tables++} AS x, i % 2 AS y FROM range(100) r(i)`,
  );
  const spec = pipelineSpec.parse({
    name: 'people',
    task: 'binary',
    data: { sources: { people: 'people.csv' } },
    columns: { target: 'y', entity: 'id' },
    privacy,
    candidates: ['logistic'],
  });
  const scratch = await data.scratch();
  const deps = { store: async () => data.store, config: configFromEnv({}) };
  const { artifact } = table;
  const output = await protect(
    deps,
    {
      spec,
      ingest: { table, digest: artifact.sha256, sources: [], setAside: [], findings },
      validate: {
        table,
        rows: 100,
        results: [],
        dropped: 0,
        quarantined: 0,
        quarantine: null,
        report: artifact,
        page: artifact,
      },
      cache: { mode: 'off' },
    },
    testFrame(scratch),
  );
  const { train } = await split(deps, { spec, protect: output }, testFrame(scratch));
  return {
    sensitive: output.sensitive,
    encrypted: [
      await data.store.isEncrypted(output.table.artifact),
      await data.store.isEncrypted(train.artifact),
    ],
  };
}

const ENCRYPTED = { sensitive: true, encrypted: [true, true] };
const PLAIN = { sensitive: false, encrypted: [false, false] };

it('a subject that is the entity alone is personal, whatever becomes of the other columns', async () => {
  expect(await run({ subject: 'id', columns: { name: 'mask' } })).toEqual(ENCRYPTED);
  expect(await run({ subject: 'id', columns: { name: 'drop' } })).toEqual(ENCRYPTED);
  // Without any action the table stays the one of the stage before, which has encrypted it.
  expect(await run({ subject: 'id' })).toEqual({ sensitive: true, encrypted: [false, true] });
});

it('what is kept, generalised or found is personal; what is dropped or masked is not', async () => {
  expect(await run({ columns: { name: 'keep' } })).toEqual(ENCRYPTED);
  expect(await run({ columns: { x: 'drop' } }, [FOUND])).toEqual(ENCRYPTED);
  expect(await run({ columns: { name: 'mask' } }, [FOUND])).toEqual(PLAIN);
  expect(await run({ columns: { name: 'drop' } })).toEqual(PLAIN);
});
