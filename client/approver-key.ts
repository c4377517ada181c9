import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose';
import { z } from 'zod';
import { PerennialError } from '../contracts/errors.ts';
import { personName } from '../contracts/people.ts';
import { VOTE_AUDIENCE, type VoteClaims } from '../contracts/votes.ts';

/** Long enough to be sent, short enough to be of no use to whoever finds it. */
const VALID_S = 300;

/** A key file: a private JWK, with the name of its owner. */
const keyFile = z.looseObject({
  kty: z.enum(['OKP', 'EC', 'RSA']),
  d: z.string(),
  name: personName.optional(),
});

/** What goes into the worker's list of approvers. */
export interface ApproverEntry {
  name: string;
  roles: string[];
  keys: JWK[];
}

/**
 * Makes a key pair (Ed25519) for signed votes, and writes the private key to a new file that its owner alone can read.
 *
 * @returns the entry for the worker's list of approvers, which holds the public key alone
 * @throws PerennialError `InputInvalid` where the file is there already
 */
export async function makeApproverKey(name: string, file: string): Promise<ApproverEntry> {
  const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
  const open = await exportJWK(publicKey);
  const named = { kid: await calculateJwkThumbprint(open), alg: 'EdDSA' };
  const secret = { ...(await exportJWK(privateKey)), ...named, name };
  try {
    writeFileSync(file, `${JSON.stringify(secret, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    throw new PerennialError(
      'InputInvalid',
      `${file} cannot be written, or is there already; a key is never overwritten, take another name`,
      false,
      { cause },
    );
  }
  return { name, roles: [], keys: [{ ...open, ...named, use: 'sig' }] };
}

/** What a person says with a signed vote. */
export type Signed = Omit<VoteClaims, 'sub' | 'jti'> & {
  /** Default: the name in the key file. */
  by?: string | undefined;
};

/**
 * Signs a vote with the key of a file; the token is valid for 5 minutes and counts once.
 *
 * @throws PerennialError `InputInvalid` where the file holds no private key, or nobody's name is known
 */
export async function signVote(file: string, { by, ...claims }: Signed): Promise<string> {
  const { name, ...key } = readKey(file);
  const subject = by ?? name;
  if (subject === undefined)
    throw new PerennialError('InputInvalid', `${file} does not say whose key it is; give --as NAME`);
  const alg = algorithmOf(key, file);
  const imported = await importJWK(key, alg).catch((cause: unknown) => {
    throw new PerennialError('InputInvalid', `${file} holds a key that cannot be used`, false, { cause });
  });
  return new SignJWT(claims)
    .setProtectedHeader({ alg, ...(typeof key.kid === 'string' ? { kid: key.kid } : {}) })
    .setSubject(subject)
    .setAudience(VOTE_AUDIENCE)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime(`${VALID_S}s`)
    .sign(imported);
}

function readKey(file: string): z.infer<typeof keyFile> {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (cause) {
    throw new PerennialError('InputInvalid', `the key file ${file} cannot be read as JSON`, false, { cause });
  }
  const key = keyFile.safeParse(content);
  if (key.success) return key.data;
  throw new PerennialError(
    'InputInvalid',
    `${file} is no private key as JWK; \`perennial approver key --name NAME --out FILE\` makes one`,
  );
}

function algorithmOf({ kty, crv, alg }: { kty: string; crv?: unknown; alg?: unknown }, file: string): string {
  if (kty === 'OKP' && crv === 'Ed25519') return 'EdDSA';
  if (kty === 'EC' && crv === 'P-256') return 'ES256';
  if (kty === 'RSA') return alg === 'RS256' ? 'RS256' : 'PS256';
  throw new PerennialError(
    'InputInvalid',
    `${file} holds a key of another kind (${[kty, crv].filter(Boolean).join(' ')}); use Ed25519, P-256 or RSA`,
  );
}
