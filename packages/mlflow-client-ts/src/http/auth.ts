/**
 * How requests prove who they are.
 *
 * - `basic`: MLflow's own `basic-auth` app, or a proxy in front of it.
 * - `bearer`: a token in the `Authorization` header.
 * - `custom`: any headers, asked for anew before every attempt (for tokens that expire).
 */
export type Auth =
  | { type: 'basic'; username: string; password: string }
  | { type: 'bearer'; token: string }
  | { type: 'custom'; headers: () => Promise<Record<string, string>> };

/** Headers that carry `auth`; none when there is none. */
export async function authHeaders(auth: Auth | undefined): Promise<Record<string, string>> {
  if (auth === undefined) return {};
  switch (auth.type) {
    case 'basic': {
      const pair = Buffer.from(`${auth.username}:${auth.password}`, 'utf8').toString('base64');
      return { authorization: `Basic ${pair}` };
    }
    case 'bearer':
      return { authorization: `Bearer ${auth.token}` };
    case 'custom':
      return auth.headers();
  }
}
