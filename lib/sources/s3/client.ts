import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { S3Client } from '@aws-sdk/client-s3';
import type { S3Source } from '../../../contracts/spec/sources.ts';
import { guardedAgent } from '../guarded-agent.ts';
import { type HostPort, hostPortOf } from '../hosts.ts';
import { type SourceOptions, timeoutsOf } from '../source.ts';

/**
 * A client for the store of a source. Every request's host is checked, and names are looked up so that only allowed
 * addresses come of them.
 *
 * @throws PerennialError `SourceDenied`, `SecretMissing`
 */
export async function s3Client(
  where: string,
  source: Pick<S3Source, 'credentials' | 'endpoint' | 'region' | 'pathStyle'>,
  options: Pick<SourceOptions, 'hosts' | 'secrets' | 'timeouts'>,
): Promise<S3Client> {
  const { hosts, secrets } = options;
  const { credentials, endpoint } = source;
  // Before anything is loaded or looked up: a name that is not allowed is refused at once.
  if (endpoint) hosts.check(where, hostPortOf(new URL(endpoint)));
  const { S3Client } = await import('@aws-sdk/client-s3');
  const { connect, headers, idle } = timeoutsOf(options);
  const client = new S3Client({
    region: source.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? 'us-east-1',
    forcePathStyle: source.pathStyle ?? endpoint !== undefined,
    ...(endpoint ? { endpoint } : {}),
    ...(credentials
      ? {
          credentials: {
            accessKeyId: secrets.resolve(credentials.accessKeyId),
            secretAccessKey: secrets.resolve(credentials.secretAccessKey),
            ...(credentials.sessionToken ? { sessionToken: secrets.resolve(credentials.sessionToken) } : {}),
          },
        }
      : {}),
    requestHandler: {
      connectionTimeout: connect,
      requestTimeout: headers,
      throwOnRequestTimeout: true,
      socketTimeout: idle,
      httpAgent: guardedAgent(new HttpAgent({ keepAlive: true, maxSockets: 8 }), hosts),
      httpsAgent: guardedAgent(new HttpsAgent({ keepAlive: true, maxSockets: 8 }), hosts),
    },
    maxAttempts: 4,
  });
  client.middlewareStack.add(
    (next) => (args) => {
      hosts.check(where, placeOf(args.request));
      return next(args);
    },
    { step: 'finalizeRequest', priority: 'low', name: 'perennialHosts' },
  );
  return client;
}

function placeOf(request: unknown): HostPort {
  const field = (key: string): unknown =>
    typeof request === 'object' && request !== null ? Reflect.get(request, key) : undefined;
  const port = Number(field('port')) || (field('protocol') === 'http:' ? 80 : 443);
  return { hostname: String(field('hostname') ?? ''), port };
}
