import { z } from 'zod';

/** Signatures with a private key: whoever can check a token cannot make one. */
export const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** How JSON Web Tokens are checked. */
export const jwtSettings = z.strictObject({
  /** A JWKS or a public key in PEM: a file, or the `https:` address of a JWKS. */
  keys: z.string().min(1),
  issuer: z.string().min(1),
  audience: z.string().min(1),
  algorithms: z.array(z.enum(JWT_ALGORITHMS)).min(1).default(['RS256', 'ES256']),
  /** The claim that names the roles, as a list or words; parts of a path are separated by dots. */
  rolesClaim: z.string().min(1).default('roles'),
  /** Seconds by which clocks may differ. */
  clockToleranceSeconds: z.number().min(0).max(300).default(30),
});
export type JwtSettings = z.infer<typeof jwtSettings>;

/** The file to watch; `undefined` where the keys come from an address. */
export const jwtKeysFile = ({ keys }: Pick<JwtSettings, 'keys'>): string | undefined =>
  /^https?:/.test(keys) ? undefined : keys;
