import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { describeIssues } from '../../contracts/issues.ts';
import { personName, plainName, samePerson } from '../../contracts/people.ts';
import { guardedAddress } from '../guarded-address.ts';

const MAX_BYTES = 1_000_000;

/** A public key as JWK (RFC 7517). What can sign does not belong into a list that many read. */
const publicKey = z
  .looseObject({ kty: z.enum(['OKP', 'EC', 'RSA']) })
  .refine((key) => !('d' in key), 'is a private key: keep it with its owner, and list the public one')
  .refine((key) => key.kty === 'RSA' || 'crv' in key, 'needs crv');

const approver = z
  .strictObject({
    name: personName,
    roles: z.array(z.string().min(1).max(63)).max(50).default([]),
    keys: z.array(publicKey).max(20).default([]),
    jwks: guardedAddress.optional(),
    issuer: z.string().min(1).max(1_000).optional(),
  })
  .refine(({ keys, jwks }) => keys.length > 0 || jwks !== undefined, {
    error: 'needs keys, or the address of a jwks',
    path: ['keys'],
  });

const approverList = z
  .strictObject({ approvers: z.array(approver).min(1).max(1_000) })
  .superRefine(({ approvers }, context) => {
    const names = approvers.map(({ name }) => plainName(name));
    for (const [i, name] of names.entries())
      if (names.indexOf(name) < i)
        context.addIssue({ code: 'custom', path: ['approvers', i, 'name'], message: 'is there twice' });
  });

/** Somebody whose signed votes a worker takes. */
export type Approver = z.infer<typeof approver>;

/**
 * The file that `PERENNIAL_APPROVERS` names: who may sign votes, with which public keys. It is read again when it
 * changes, so that a key that was taken out signs nothing more.
 *
 * @example
 * // {"approvers": [{"name": "Ada", "roles": ["risk"], "keys": [{"kty": "OKP", "crv": "Ed25519", "x": "…"}]}]}
 */
export class ApproverList {
  #read: { version: string; approvers: readonly Approver[] } | undefined;

  constructor(private readonly path: string | undefined) {}

  /** @throws PerennialError `ApprovalImpossible` where there is no list, or it is not one */
  async approvers(): Promise<readonly Approver[]> {
    const { path } = this;
    if (path === undefined)
      throw impossible(
        'this worker has no list of approvers: set PERENNIAL_APPROVERS to a file (see docs/approvals.md), and start it anew',
      );
    const info = await stat(path).catch((cause: unknown) => {
      throw impossible(`the list of approvers ${path} cannot be read`, cause);
    });
    const version = `${info.ino} ${info.size} ${info.mtimeMs}`;
    if (this.#read?.version === version) return this.#read.approvers;
    if (info.size > MAX_BYTES)
      throw impossible(`the list of approvers ${path} is larger than ${MAX_BYTES} bytes`);
    const text = await readFile(path, 'utf8').catch((cause: unknown) => {
      throw impossible(`the list of approvers ${path} cannot be read`, cause);
    });
    const approvers = parsed(text, path);
    this.#read = { version, approvers };
    return approvers;
  }

  /** Whoever the list knows by this name. */
  async find(name: string): Promise<Approver | undefined> {
    return (await this.approvers()).find((known) => samePerson(known.name, name));
  }
}

function parsed(text: string, path: string): readonly Approver[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (cause) {
    throw impossible(`the list of approvers ${path} is not JSON`, cause);
  }
  const list = approverList.safeParse(content);
  if (list.success) return list.data.approvers;
  throw impossible(`the list of approvers ${path}: ${describeIssues(list.error, content)}`);
}

const impossible = (message: string, cause?: unknown): PerennialError =>
  new PerennialError('ApprovalImpossible', message, false, { cause });
