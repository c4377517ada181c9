import { createConnection } from 'node:net';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../../contracts/names.ts';
import { platformPaths } from './files.ts';
import type { PartDefinition } from './part.ts';
import type { Ports } from './ports.ts';

/** How long the dev server keeps closed runs; its own default is one day. */
export const RETENTION_DAYS = 90;
const RETENTION_SECONDS = RETENTION_DAYS * 86_400;

/**
 * The dev server polls its own queues 20 times a second unless told otherwise, which costs 100 ms per activity;
 * with these a step takes 11 to 13 ms on a SQLite file. The time shift guards against clocks of several machines that
 * differ; with its default of a second no timer, and no retry, comes sooner than that.
 */
const DYNAMIC_CONFIG = [
  'history.transferProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxPollRPS=2000',
  'history.timerProcessorMaxTimeShift="20ms"',
  'history.visibilityProcessorMaxPollRPS=2000',
  'system.enableActivityEagerExecution=true',
];
/** WAL with NORMAL survives a killed process; a power cut can lose the last commits. */
const SQLITE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL'];

/** Arguments of `temporal server start-dev` for one data directory. Relative to `<dataDir>/temporal`. */
export function temporalArguments(
  ports: Pick<Ports, 'temporal' | 'temporalUi'>,
  namespace: string,
): string[] {
  return [
    ...['server', 'start-dev', '--disable-config-file', '--disable-config-env'],
    ...['--ip', '127.0.0.1', '--port', String(ports.temporal), '--ui-port', String(ports.temporalUi)],
    ...['--db-filename', 'temporal.db', '--namespace', namespace],
    ...SQLITE_PRAGMAS.flatMap((pragma) => ['--sqlite-pragma', pragma]),
    ...DYNAMIC_CONFIG.flatMap((value) => ['--dynamic-config-value', value]),
    ...Object.values(SEARCH_ATTRIBUTES).flatMap(({ name, type }) => [
      '--search-attribute',
      `${name}=${SERVER_TYPES[type]}`,
    ]),
  ];
}

const SERVER_TYPES = { KEYWORD: 'Keyword', BOOL: 'Bool' } as const;
const { IndexedValueType } = proto.temporal.api.enums.v1;
const WIRE_TYPES = {
  KEYWORD: IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
  BOOL: IndexedValueType.INDEXED_VALUE_TYPE_BOOL,
} as const;

/**
 * The Temporal dev server on a SQLite file, with the UI, Perennial's search attributes and 90 days of retention.
 *
 * @param cli the Temporal CLI
 */
export function temporalPart(
  dataDir: string,
  cli: string,
  ports: Pick<Ports, 'temporal' | 'temporalUi'>,
  namespace: string,
  env: NodeJS.ProcessEnv,
): PartDefinition {
  const paths = platformPaths(dataDir);
  const address = `127.0.0.1:${ports.temporal}`;
  return {
    name: 'temporal',
    command: cli,
    args: temporalArguments(ports, namespace),
    env: {
      ...Object.fromEntries(
        Object.entries(env).filter(([name]) => !/^(TEMPORAL_|PERENNIAL_SECRET_)/.test(name)),
      ),
      // The server would ask its makers for newer versions.
      TEMPORAL_VERSION_CHECK_DISABLED: '1',
    },
    cwd: paths.temporal,
    log: join(paths.logs, 'temporal.log'),
    url: address,
    probe: async () =>
      (await isListening(ports.temporal)) && (await settleNamespace(address, namespace))
        ? address
        : undefined,
  };
}

/**
 * Whether the namespace can be used, after its retention and its search attributes have been set. The server's own
 * flag gives the attributes to namespaces that it creates only, so a database of an earlier version lacks new ones.
 *
 * @param address `host:port` of a server that listens: gRPC waits a second before it tries a refused port again
 */
async function settleNamespace(address: string, namespace: string): Promise<boolean> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) !== RETENTION_SECONDS) {
      const retention = proto.google.protobuf.Duration.fromObject({ seconds: RETENTION_SECONDS });
      await connection.workflowService.updateNamespace({
        namespace,
        config: { workflowExecutionRetentionTtl: retention },
      });
    }
    const known = new Set(Object.values(config?.customSearchAttributeAliases ?? {}));
    const missing = Object.values(SEARCH_ATTRIBUTES).filter(({ name }) => !known.has(name));
    if (missing.length > 0) {
      const searchAttributes = Object.fromEntries(missing.map(({ name, type }) => [name, WIRE_TYPES[type]]));
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
    }
    return true;
  } finally {
    await connection.close();
  }
}

/** Whether something accepts connections on a loopback port. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    const settle = (open: boolean): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}
