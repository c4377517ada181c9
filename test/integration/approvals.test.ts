import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWK,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeApproverKey, signVote } from '../../client/approver-key.ts';
import { QUERIES } from '../../contracts/names.ts';
import type { StageOutputs } from '../../contracts/stages.ts';
import { VOTE_AUDIENCE, VOTE_LIFETIME_S } from '../../contracts/votes.ts';
import { ApproverList } from '../../lib/approvals/approver-list.ts';
import { checkApprovers } from '../../lib/approvals/check-approvers.ts';
import { VoteTokens } from '../../lib/approvals/vote-token.ts';
import { AuditLog } from '../../lib/audit/audit-log.ts';
import { refusal } from '../support/failures.ts';
import { Scenario } from '../support/scenario.ts';
import { startTemporalServer } from '../support/temporal-server.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';
import { sharedBundle } from '../support/workflow-code.ts';

const CANDIDATE = 'abcdef01'.repeat(8);
const RUN = 'churn-1/0123';
const QUESTION = { candidate: CANDIDATE, run: RUN };

/** What tokens are signed for. */
let subject = QUESTION;
let folder: string;
let path: string;
const keys: Record<'ada' | 'grace' | 'mallory', CryptoKey> = {} as never;
const publicKeys: Record<string, JWK> = {};

/** A token as an approver would sign it, and as somebody else would wish it. */
async function signed(
  claims: Record<string, unknown> = {},
  {
    key = keys.ada,
    alg = 'EdDSA',
    kid,
    now = Math.floor(Date.now() / 1_000),
  }: { key?: CryptoKey | Uint8Array; alg?: string; kid?: string; now?: number } = {},
): Promise<string> {
  const all = {
    sub: 'Ada',
    aud: VOTE_AUDIENCE,
    jti: crypto.randomUUID(),
    iat: now,
    exp: now + 300,
    decision: 'approve',
    reason: 'better on all slices',
    ...subject,
    ...claims,
  };
  const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  return new SignJWT(kept).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key);
}

const listed = (approvers: unknown): Promise<void> => writeFile(path, JSON.stringify({ approvers }));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-approvals-'));
  path = join(folder, 'approvers.json');
  for (const name of ['ada', 'grace', 'mallory'] as const) {
    const pair = await generateKeyPair('EdDSA', { extractable: true });
    keys[name] = pair.privateKey;
    publicKeys[name] = await exportJWK(pair.publicKey);
  }
  await listed([
    { name: 'Ada', roles: ['risk'], keys: [publicKeys.ada] },
    { name: 'Grace', keys: [publicKeys.grace] },
  ]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const seconds = (): number => Math.floor(Date.now() / 1_000);

/** Each with the word by which its refusal is known. */
const BAD: [string, () => Promise<string>, string][] = [
  ['signed by nobody known', () => signed({}, { key: keys.mallory }), 'not signed by a key of Ada'],
  ['signed by another approver', () => signed({}, { key: keys.grace }), 'not signed by a key of Ada'],
  [
    'signed by another approver who claims the key of Ada',
    () => signed({}, { key: keys.grace, kid: 'ada' }),
    'not signed by a key of Ada',
  ],
  [
    'of somebody unknown',
    () => signed({ sub: 'Mallory' }, { key: keys.mallory }),
    'nobody of the name Mallory',
  ],
  ['of nobody', () => signed({ sub: undefined }), 'who votes'],
  ['expired', () => signed({ iat: seconds() - 600, exp: seconds() - 60 }), 'has expired'],
  [
    'expired within the leeway of clocks',
    () => signed({ iat: seconds() - 600, exp: seconds() - 5 }),
    'expired',
  ],
  ['that never expires', () => signed({ exp: undefined }), 'has no exp'],
  ['without a beginning', () => signed({ iat: undefined }), 'has no iat'],
  ['from the future', () => signed({ iat: seconds() + 120, exp: seconds() + 400 }), 'iat'],
  ['valid too long', () => signed({ exp: seconds() + VOTE_LIFETIME_S + 60 }), 'at most 3600 s'],
  ['for another use', () => signed({ aud: 'somewhere else' }), 'aud must be perennial-approval'],
  ['for no use', () => signed({ aud: undefined }), 'aud must be perennial-approval'],
  ['without an id', () => signed({ jti: undefined }), 'has no jti'],
  ['for another candidate', () => signed({ candidate: 'f'.repeat(64) }), 'is for candidate ffffffffffff'],
  ['for a prefix of the candidate', () => signed({ candidate: CANDIDATE.slice(0, 12) }), 'candidate'],
  ['for another run', () => signed({ run: 'churn-1/9999' }), 'is for run churn-1/9999'],
  ['with a decision that is none', () => signed({ decision: 'maybe' }), 'decision'],
  ['that rejects without a reason', () => signed({ decision: 'reject', reason: ' ' }), 'needs a reason'],
  [
    'that nobody signed',
    async () => `${new UnsecuredJWT({ sub: 'Ada' }).setAudience(VOTE_AUDIENCE).encode()}aaaa`,
    'algorithm none',
  ],
  [
    'signed with the public key as a secret',
    async () => signed({}, { alg: 'HS256', key: Buffer.from(JSON.stringify(publicKeys.ada)) }),
    'algorithm HS256',
  ],
  [
    'changed after it was signed',
    async () => changed(await signed({ decision: 'reject' })),
    'not signed by a key',
  ],
  ['cut short', async () => (await signed()).slice(0, -20), 'not signed by a key'],
  ['that is none', async () => 'not.a.token-of-anybody', 'can be read'],
];

/** The same token with another decision in it. */
function changed(token: string): string {
  const [header, payload = '', signature] = token.split('.');
  const text = Buffer.from(payload, 'base64url').toString().replace('"reject"', '"approve"');
  return [header, Buffer.from(text).toString('base64url'), signature].join('.');
}

describe('a signed vote', () => {
  const verify = async (token: string, question = QUESTION) =>
    new VoteTokens(new ApproverList(path)).verify({ token, ...question });

  it('counts with the key of its person', async () => {
    expect(await verify(await signed({ sub: ' ADA ', jti: 'the id of it' }))).toEqual({
      state: 'verified',
      by: 'Ada',
      roles: ['risk'],
      decision: 'approve',
      reason: 'better on all slices',
      token: 'the id of it',
    });
  });

  it.each(['ES256', 'RS256', 'PS256'])('may be signed by %s', async (alg) => {
    const { privateKey, publicKey } = await generateKeyPair(alg);
    const own = join(folder, `${alg}.json`);
    const jwk = await exportJWK(publicKey);
    await writeFile(own, JSON.stringify({ approvers: [{ name: 'Ada', keys: [publicKeys.ada, jwk] }] }));
    const token = await signed({}, { key: privateKey, alg });
    expect(await new VoteTokens(new ApproverList(own)).verify({ token, ...QUESTION })).toMatchObject({
      state: 'verified',
    });
  });

  it('is not taken by another kind of algorithm, though the key fits', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES384');
    const own = join(folder, 'es384.json');
    await writeFile(
      own,
      JSON.stringify({ approvers: [{ name: 'Ada', keys: [await exportJWK(publicKey)] }] }),
    );
    const token = await signed({}, { key: privateKey, alg: 'ES384' });
    expect(await new VoteTokens(new ApproverList(own)).verify({ token, ...QUESTION })).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('algorithm ES384'),
    });
  });

  it.each(BAD)('does not count %s', async (_what, make, reason) => {
    expect(await verify(await make())).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining(reason),
    });
  });

  it('does not count with the PEM of a public key as a secret', async () => {
    const { publicKey } = await generateKeyPair('RS256', { extractable: true });
    const own = join(folder, 'rsa.json');
    await writeFile(
      own,
      JSON.stringify({ approvers: [{ name: 'Ada', keys: [await exportJWK(publicKey)] }] }),
    );
    const token = await signed({}, { alg: 'HS256', key: Buffer.from(await exportSPKI(publicKey)) });
    expect(await new VoteTokens(new ApproverList(own)).verify({ token, ...QUESTION })).toMatchObject({
      state: 'refused',
    });
  });

  it('is of the issuer that the list names', async () => {
    const own = join(folder, 'issuer.json');
    await writeFile(
      own,
      JSON.stringify({ approvers: [{ name: 'Ada', keys: [publicKeys.ada], issuer: 'https://id.test' }] }),
    );
    const tokens = new VoteTokens(new ApproverList(own));
    const right = await signed({ iss: 'https://id.test' });
    expect(await tokens.verify({ token: right, ...QUESTION })).toMatchObject({ state: 'verified' });
    for (const iss of [undefined, 'https://other.test'])
      expect(await tokens.verify({ token: await signed({ iss }), ...QUESTION })).toMatchObject({
        state: 'refused',
        reason: expect.stringContaining('issuer'),
      });
  });

  it('may be checked by keys of an address; while that is out, it is refused and can be sent again', async () => {
    const kid = await calculateJwkThumbprint(publicKeys.ada ?? {});
    let out = true;
    const server = createServer((_request, response) => {
      response.statusCode = out ? 503 : 200;
      response.end(
        JSON.stringify({
          keys: [
            { ...publicKeys.grace, kid: 'g' },
            { ...publicKeys.ada, kid },
          ],
        }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const own = join(folder, 'jwks.json');
    await writeFile(
      own,
      JSON.stringify({ approvers: [{ name: 'Ada', jwks: `http://127.0.0.1:${port}/jwks.json` }] }),
    );
    try {
      const token = await signed({}, { kid });
      expect(await new VoteTokens(new ApproverList(own)).verify({ token, ...QUESTION })).toMatchObject({
        state: 'refused',
        reason: expect.stringContaining('send the vote again later'),
      });
      out = false;
      const tokens = new VoteTokens(new ApproverList(own));
      expect(await tokens.verify({ token, ...QUESTION })).toMatchObject({ state: 'verified', by: 'Ada' });
      // Several keys fit where the token names none.
      expect(await tokens.verify({ token: await signed(), ...QUESTION })).toMatchObject({
        state: 'verified',
      });
      const foreign = await signed({}, { key: keys.mallory });
      expect(await tokens.verify({ token: foreign, ...QUESTION })).toMatchObject({ state: 'refused' });
    } finally {
      server.close();
    }
  });
});

describe('the list of approvers', () => {
  const own = (): string => join(folder, `list-${crypto.randomUUID()}.json`);
  const written = async (content: unknown): Promise<ApproverList> => {
    const file = own();
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
    return new ApproverList(file);
  };
  const entry = (): unknown => ({ name: 'Ada', keys: [publicKeys.ada] });

  it.each([
    ['is no JSON', '{', 'is not JSON'],
    ['is empty', { approvers: [] }, 'approvers'],
    ['names nobody’s keys', { approvers: [{ name: 'Ada' }] }, 'needs keys'],
    [
      'holds a private key',
      { approvers: [{ name: 'Ada', keys: [{ kty: 'OKP', crv: 'Ed25519', d: 'x' }] }] },
      'private key',
    ],
    ['holds a secret', { approvers: [{ name: 'Ada', keys: [{ kty: 'oct', k: 'x' }] }] }, 'kty'],
    [
      'takes keys from a plain address',
      { approvers: [{ name: 'Ada', jwks: 'http://id.test/jwks' }] },
      'https',
    ],
    ['has a word that is wrong', { approvers: [{ name: 'Ada', key: [] }] }, 'key'],
    ['is too large', `{"approvers": []${' '.repeat(1_000_000)}}`, 'larger than'],
  ])('that %s is refused', async (_what, content, message) => {
    await expect((await written(content)).approvers()).rejects.toMatchObject({
      code: 'ApprovalImpossible',
      message: expect.stringContaining(message),
    });
  });

  it('names nobody twice', async () => {
    const twice = await written({ approvers: [entry(), { ...Object(entry()), name: 'ADA ' }] });
    await expect(twice.approvers()).rejects.toThrow('is there twice');
  });

  it('is needed', async () => {
    for (const list of [new ApproverList(undefined), new ApproverList(own())]) {
      await expect(list.approvers()).rejects.toMatchObject({ code: 'ApprovalImpossible' });
      const question = { token: await signed(), ...QUESTION };
      await expect(new VoteTokens(list).verify(question)).rejects.toMatchObject({
        code: 'ApprovalImpossible',
      });
    }
  });

  it('is read again when it changes: a key that was taken out signs nothing more', async () => {
    const file = own();
    await writeFile(file, JSON.stringify({ approvers: [entry()] }));
    const tokens = new VoteTokens(new ApproverList(file));
    const token = await signed();
    expect(await tokens.verify({ token, ...QUESTION })).toMatchObject({ state: 'verified' });
    await writeFile(file, JSON.stringify({ approvers: [{ name: 'Ada', keys: [publicKeys.mallory] }] }));
    expect(await tokens.verify({ token, ...QUESTION })).toMatchObject({ state: 'refused' });
  });

  it('must be able to give what a spec asks for', async () => {
    const list = new ApproverList(path);
    await checkApprovers(list, { roles: ['risk'], quorum: 2 });
    const named = (people: string[], quorum: number) => ({ what: 'approval.approvers', people, quorum });
    await checkApprovers(list, { roles: [], quorum: 1, named: [named(['ada', 'Nobody'], 1)] });
    const impossible: [Parameters<typeof checkApprovers>[1], string][] = [
      [{ roles: ['legal'], quorum: 1 }, 'nobody the role legal'],
      [{ roles: [], quorum: 3 }, 'knows 2'],
      [{ roles: [], quorum: 1, named: [named(['ada', 'Nobody'], 2)] }, 'does not know Nobody'],
    ];
    for (const [input, message] of impossible)
      await expect(checkApprovers(list, input)).rejects.toThrow(message);
  });
});

describe('a key of `perennial approver key`', () => {
  it('signs votes that the entry verifies, and is read by its owner alone', async () => {
    const file = join(folder, 'ada.jwk.json');
    const entry = await makeApproverKey('Ada', file);
    expect(JSON.stringify(entry)).not.toContain('"d"');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await expect(makeApproverKey('Ada', file)).rejects.toThrow('there already');
    const list = join(folder, 'made.json');
    await writeFile(list, JSON.stringify({ approvers: [{ ...entry, roles: ['risk'] }] }));
    const token = await signVote(file, { decision: 'reject', reason: 'the data look wrong', ...QUESTION });
    expect(await new VoteTokens(new ApproverList(list)).verify({ token, ...QUESTION })).toMatchObject({
      state: 'verified',
      by: 'Ada',
      decision: 'reject',
      roles: ['risk'],
    });
    await expect(signVote(path, { decision: 'approve', reason: '', ...QUESTION })).rejects.toThrow(
      'no private key',
    );
    expect(await readFile(file, 'utf8')).toContain('"name": "Ada"');
  });
});

describe('signed votes of a run', () => {
  let server: Awaited<ReturnType<typeof startTemporalServer>>;
  let bench: WorkflowBench;
  beforeAll(async () => {
    const [temporal, bundle] = await Promise.all([startTemporalServer(), sharedBundle()]);
    server = temporal;
    bench = await WorkflowBench.start({ address: server.address, bundle });
  });
  afterAll(async () => {
    await bench?.close();
    await server?.stop();
  });

  it('count as they should, and every refusal is in the audit log', async () => {
    const audit = AuditLog.in(join(folder, 'data'));
    const list = new ApproverList(path);
    const tokens = new VoteTokens(list);
    const scenario = new Scenario({
      checkApprovers: (input) => checkApprovers(list, input),
      verifyVote: (input) => tokens.verify(input),
      recordAudit: (input) => audit.append(input),
    });
    const run = await bench.lifecycle(scenario, {
      approval: { signed: true, quorum: 2, timeout: '10m', reminders: [] },
    });
    const { candidate, run: claim } = await run.awaiting();
    const here = { candidate, run: claim };
    // Right for this run in all but the one thing.
    subject = here;
    for (const [, make, reason] of BAD) {
      const told = await refusal(run.review({ token: await make() }));
      expect(told).toContain(reason);
    }
    // Of another run, where it counts.
    expect(await refusal(run.review({ token: await signed({ run: RUN }) }))).toContain('is for run');
    expect((await run.awaiting()).votes).toEqual([]);

    const once = await signed();
    expect(await run.review({ token: once })).toEqual({ accepted: true, votes: 1 });
    expect(await refusal(run.review({ token: once }))).toContain('used already');
    expect(await refusal(run.review({ token: await signed() }))).toContain('Ada has voted already');
    const grace = await signed({ sub: 'grace', jti: 'id of grace' }, { key: keys.grace });
    await run.review({ token: grace });
    const { votes } = await eventually(
      async () => (await run.handle.query<StageOutputs>(QUERIES.outputs)).approval,
      'the decision',
    );
    expect(votes.map(({ by, token }) => [by, token !== null])).toEqual([
      ['Ada', true],
      ['Grace', true],
    ]);

    const asked = BAD.length + 5;
    const { records, broken } = await eventually(async () => {
      const answer = await audit.read({
        endpoint: null,
        run: run.handle.workflowId,
        since: null,
        limit: 1_000,
      });
      return answer.records.some(({ action }) => action === 'approval.decided') ? answer : undefined;
    }, 'the decision in the log');
    expect(broken).toEqual([]);
    const voted = records.filter(({ action }) => action === 'approval.vote');
    expect(voted).toHaveLength(asked);
    expect(voted.filter(({ outcome }) => outcome === 'done').map(({ by }) => by)).toEqual(['Ada', 'Grace']);
    for (const { outcome, reason } of voted) if (outcome === 'refused') expect(reason).not.toBe('');
    expect(JSON.stringify(records)).not.toContain(once.slice(-40));
  });
});
