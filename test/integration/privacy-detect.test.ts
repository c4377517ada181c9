import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeColumns } from '../../bench/privacy.ts';
import { decoyColumns, idColumns, personalColumns } from '../../bench/privacy-corpus.ts';
import { hardNegatives } from '../../bench/privacy-held-out.ts';
import { type PersonalFinding, personalFinding } from '../../contracts/privacy.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { judgeFindings } from '../../domain/privacy.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { detectPersonal } from '../../lib/privacy/detect.ts';
import { DataFixture } from '../support/integration-data.ts';
import { smallSpec } from '../support/samples.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

async function detect(query: string): Promise<PersonalFinding[]> {
  const { relation, table } = await data.table(query);
  return detectPersonal(data.database, relation, table.columns);
}

describe('the data of the examples', () => {
  it.each([
    'bank/data/bank',
    'flights/data/flights',
    'flights/data/airports',
    'flights/data/planes',
    'flights/data/weather',
  ])('%s holds nothing that would stop a run', async (name) => {
    const file = new URL(`../../examples/${name}.csv`, import.meta.url).pathname;
    const found = await detect(`SELECT * FROM read_csv(${quoteLiteral(file)}, nullstr = ['NA', ''])`);
    expect(found.filter((finding) => finding.verified)).toEqual([]);
  });
});

describe('generated columns', () => {
  it('that look like personal data and are none are verified as nothing', async () => {
    for (const named of [true, false]) {
      const judged = await judgeColumns(data.database, decoyColumns(11), 600, named);
      const wrong = judged.flatMap(({ what, findings }) =>
        findings.filter((finding) => finding.verified).map(({ kind }) => `${what}: ${kind}`),
      );
      expect(wrong).toEqual([]);
    }
  });

  it('that pass checksums of other things, or are written like personal data, are verified as nothing', async () => {
    const judged = await judgeColumns(data.database, hardNegatives(19), 400, false);
    const wrong = judged.flatMap(({ what, findings }) =>
      findings.filter((finding) => finding.verified).map(({ kind }) => `${what}: ${kind}`),
    );
    expect(wrong).toEqual([]);
  }, 120_000);

  it.each(['en_US', 'de', 'pt_BR', 'ja'] as const)(
    'of people in %s are found where their names say it',
    async (locale) => {
      const judged = await judgeColumns(data.database, personalColumns(locale, 12), 600, true);
      const missed = judged.filter(
        ({ kind, findings }) => !findings.some((finding) => finding.kind === kind),
      );
      expect(missed.map(({ what }) => what)).toEqual([]);
    },
  );

  it('that prove themselves are verified whatever their names are', async () => {
    const own = personalColumns('en_GB', 13).filter(
      ({ kind }) => kind === 'email' || kind === 'iban' || kind === 'card',
    );
    const judged = await judgeColumns(data.database, [...own, ...idColumns(13)], 600, false);
    const missed = judged.filter(
      ({ kind, findings }) => !findings.some((finding) => finding.kind === kind && finding.verified),
    );
    expect(missed.map(({ what }) => what)).toEqual([]);
  });
});

describe('one thing among many', () => {
  it('is found in a million texts, and its share is one in a million', async () => {
    const [finding, ...more] = await detect(
      `SELECT 'call back about order ' || i || CASE WHEN i = 777777 THEN ', or write to ann@example.com' ELSE '' END AS note FROM range(1000000) r(i)`,
    );
    expect(more).toEqual([]);
    expect(finding).toMatchObject({
      column: 'note',
      kind: 'email',
      verified: true,
      within: 'text',
      confidence: 1,
    });
    expect(personalFinding.parse(finding).share).toBeLessThan(0.001);
  });

  it('is found in five million rows of short codes, few or many of them distinct', async () => {
    const found = await detect(
      `SELECT CASE WHEN i = 3456789 THEN 'ann@example.com' ELSE 'K' || i END AS many, CASE WHEN i = 4567890 THEN 'bob@example.com' ELSE 'K' || i % 5 END AS few FROM range(5000000) r(i)`,
    );
    expect(found.map(({ column, kind, verified }) => [column, kind, verified]).sort()).toEqual([
      ['few', 'email', true],
      ['many', 'email', true],
    ]);
  });

  it('is found beside other things in the same texts', async () => {
    const found = await detect(
      `SELECT 'the order number ' || i || ' of a customer' || CASE i WHEN 150001 THEN ', write to ann@example.com' WHEN 40002 THEN ', IBAN DE89370400440532013000' WHEN 240002 THEN ' GB82 WEST 1234 5698 7654 32' WHEN 240003 THEN ' NL91ABNA0417164300' ELSE '' END AS note FROM range(250000) r(i)`,
    );
    expect(found.map(({ kind, verified }) => [kind, verified]).sort()).toEqual([
      ['email', true],
      ['iban', true],
    ]);
  });

  it('is found in structures and in lists', async () => {
    const found = await detect(
      `SELECT {'who': {'mail': 'user' || i || '@example.com'}} AS payload, ['a', 'DE89370400440532013000'] AS list FROM range(50) r(i)`,
    );
    expect(found.map(({ column, kind }) => [column, kind])).toContainEqual(['payload', 'email']);
  });

  it('is found in numbers, also where a missing one made floats of them', async () => {
    const bsn = `list_filter(range(100000000, 100020000), x -> (list_sum([(x // pow(10, 9 - i)::BIGINT % 10) * (10 - i) FOR i IN range(1, 9)]) - x % 10) % 11 = 0)`;
    const found = await detect(
      `SELECT unnest(${bsn}) AS bsn, unnest(${bsn})::DOUBLE AS c2, NULL::INTEGER AS nothing`,
    );
    expect(found.map(({ column, kind, verified }) => [column, kind, verified]).sort()).toEqual([
      ['bsn', 'national_id', true],
      ['c2', 'national_id', true],
    ]);
  });
});

describe('findings', () => {
  it('are the same however the rows lie, and hold no value', async () => {
    const query = `SELECT 'person' || i || '@example.com' AS mail, '+4930' || (1000000 + i) AS tel FROM range(50000) r(i)`;
    const [there, back] = [await detect(query), await detect(`SELECT * FROM (${query}) ORDER BY mail DESC`)];
    expect(back).toEqual(there);
    expect(there.map(({ kind, verified }) => [kind, verified]).sort()).toEqual([
      ['email', true],
      ['phone', true],
    ]);
    expect(JSON.stringify(there)).not.toMatch(/person\d|\+4930/);
  });

  it('are the same with one, two and eight threads', async () => {
    const { relation, table } = await data.table(
      `SELECT i AS id, 'person' || i || '@example.com' AS mail, 'text of some words ' || hash(i) || ['', ' DE89370400440532013000', ' GB82WEST12345698765432', ' NL91ABNA0417164300'][1 + i % 4] AS note, '+4930' || (1000000 + i % 30000) AS tel FROM range(300000) r(i)`,
    );
    const runs: PersonalFinding[][] = [];
    for (const threads of [1, 2, 8]) {
      await data.database.run(`SET threads = ${threads}`);
      runs.push(await detectPersonal(data.database, relation, table.columns));
    }
    await data.database.run('RESET threads');
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
    expect(runs[0]?.length).toBeGreaterThanOrEqual(3);
  });

  it('of an empty table, of missing values only, and of odd names are none', async () => {
    expect(await detect('SELECT 1 AS a, NULL::VARCHAR AS email WHERE false')).toEqual([]);
    expect(await detect('SELECT NULL::VARCHAR AS email, NULL::DATE AS birthday FROM range(5)')).toEqual([]);
    expect(
      (await detect(`SELECT 'a' || i || '@example.com' AS "x ""y'; --" FROM range(9) r(i)`)).map(
        ({ column }) => column,
      ),
    ).toEqual([`x "y'; --`]);
  });

  it('name dates of birth by their column, in dates and in texts', async () => {
    const found = await detect(
      `SELECT DATE '1950-01-01' + i::INTEGER AS date_of_birth, strftime(DATE '1950-01-01' + i::INTEGER, '%d.%m.%Y') AS geburtsdatum, DATE '2020-01-01' AS shipped FROM range(900) r(i)`,
    );
    expect(found.map(({ column, kind, verified }) => [column, kind, verified])).toEqual([
      ['date_of_birth', 'date_of_birth', false],
      ['geburtsdatum', 'date_of_birth', false],
    ]);
  });

  it('stop a run where nobody declared them, and do not where somebody did', async () => {
    const found = await detect(`SELECT 'a' || i || '@example.com' AS contact FROM range(40) r(i)`);
    const spec = (privacy: object) => pipelineSpec.parse({ ...smallSpec(), privacy }).privacy;
    expect(judgeFindings(found, spec({})).stop).toEqual([
      expect.stringMatching(
        /^column contact holds e-mail addresses in 100 % of its values, verified .* Declare it under privacy\.columns/,
      ),
    ]);
    expect(judgeFindings(found, spec({ columns: { contact: 'keep' } }))).toEqual({ stop: [], warn: [] });
  });
});
