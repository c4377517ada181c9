import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { figures, machine, table } from './figures.ts';
import { installPeer } from './peer-environments.ts';
import { type ServingModel, servingModel } from './serving-model.ts';
import {
  BARE_SERVERS,
  OURS,
  OURS_BINARY,
  OURS_TWO,
  RunningServer,
  SERVING_PEERS,
  type ServerKind,
} from './serving-peers.ts';
import { type Drive, drive, requireWrk } from './wrk.ts';

/*
 * The model server beside others that serve the same trees, all in one run: each round drives every server once in each
 * setting, one after the other, so that what else runs on the machine disturbs all of them alike. Ratios are taken
 * within a round; their medians are shown.
 *
 *   npx tsx bench/serving.ts [--peers mlserver,mlflow,bentoml|none] [--rounds 3] [--seconds 3] [--no-build]
 */

const USAGE = `usage: serving.ts [--peers ${Object.keys(SERVING_PEERS).join(',')}|none] [--rounds N] [--seconds N] [--no-build]`;
const ROWS = [1, 100];
const CONNECTIONS = [1, 16, 64];
const ROOT = join(import.meta.dirname, '..');

interface Setting {
  readonly rows: number;
  readonly connections: number;
}

/** A drive, and the microseconds of processor time that the server used for each request: other work on the machine makes them longer by far less. */
interface Measured extends Drive {
  readonly processor: number;
}

/** Of one server in one setting, round after round. */
type Drives = Map<ServerKind, Measured[]>;

const key = ({ rows, connections }: Setting): string => `${rows} row${rows > 1 ? 's' : ''}, c${connections}`;

function options() {
  const { values } = parseArgs({
    options: {
      peers: { type: 'string', default: Object.keys(SERVING_PEERS).join(',') },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '3' },
      build: { type: 'boolean', default: true },
    },
    allowNegative: true,
  });
  const peers = values.peers === 'none' ? [] : values.peers.split(',').map(peer);
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  if (!(Number.isInteger(rounds) && rounds > 0 && seconds > 0)) throw new Error(USAGE);
  return { peers, rounds, seconds, build: values.build };
}

function peer(name: string): ServerKind {
  for (const [own, kind] of Object.entries(SERVING_PEERS)) if (own === name) return kind;
  throw new Error(USAGE);
}

/** Starts what can be started; a feature of ours that is not there is left out, and said. */
async function startAll(model: ServingModel, peers: readonly ServerKind[]): Promise<RunningServer[]> {
  const servers: RunningServer[] = [];
  try {
    for (const kind of [...BARE_SERVERS, OURS, OURS_TWO, ...peers]) {
      const server = await RunningServer.start(kind, model);
      servers.push(server);
      if (kind === OURS_TWO && server.processes < 3) {
        process.stderr.write(`left out: ${kind.name}, which started as one\n`);
        servers.pop();
        await server.stop();
      }
    }
    return servers;
  } catch (error) {
    await stopAll(servers);
    throw error;
  }
}

const stopAll = async (servers: readonly RunningServer[]): Promise<void> => {
  await Promise.all(servers.map((server) => server.stop()));
};

/** What is driven: every server with its own body, and ours with binary tensors, at 100 rows, where it takes them. */
async function targets(servers: readonly RunningServer[], model: ServingModel) {
  const all = servers.map((server) => ({ server, kind: server.kind }));
  const ours = servers.find(({ kind }) => kind === OURS);
  if (!ours) return all;
  const answer = await fetch(`${ours.url}${OURS_BINARY.path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(model.headerLength(100)),
    },
    body: readFileSync(model.body(OURS_BINARY.body, 100)),
  });
  await answer.arrayBuffer();
  if (answer.ok) all.push({ server: ours, kind: OURS_BINARY });
  else process.stderr.write(`left out: ${OURS_BINARY.name}, answered with ${answer.status}\n`);
  return all;
}

async function main(): Promise<void> {
  const { peers, rounds, seconds, build } = options();
  await requireWrk();
  if (build) await promisify(execFile)('npx', ['tsc', '-p', 'tsconfig.build.json'], { cwd: ROOT });
  for (const { name, environment } of peers)
    if (environment) await installPeer({ name, ...environment, script: [] });
  const model = await servingModel(join(ROOT, 'bench', 'peers', '.peers'));
  const servers = await startAll(model, peers);
  const results = new Map<string, Drives>();
  const memory = new Map<RunningServer, number>();
  try {
    const all = await targets(servers, model);
    const once = async (
      { server, kind }: (typeof all)[number],
      { rows, connections }: Setting,
      length: number,
    ): Promise<Measured> => {
      const before = server.processorSeconds;
      const driven = await drive({
        url: `${server.url}${kind.path}`,
        body: model.body(kind.body, rows),
        headerLength: kind === OURS_BINARY ? model.headerLength(rows) : undefined,
        connections,
        seconds: length,
      });
      return { ...driven, processor: ((server.processorSeconds - before) * 1e6) / driven.requests };
    };
    for (const target of all) for (const rows of ROWS) await once(target, { rows, connections: 4 }, 1);
    for (let round = 0; round < rounds; round++) {
      for (const rows of ROWS) {
        for (const connections of CONNECTIONS) {
          const setting = { rows, connections };
          const drives: Drives = results.get(key(setting)) ?? new Map();
          results.set(key(setting), drives);
          for (const target of all) {
            if (target.kind === OURS_BINARY && rows === 1) continue;
            drives.set(target.kind, [
              ...(drives.get(target.kind) ?? []),
              await once(target, setting, seconds),
            ]);
          }
        }
      }
      process.stderr.write(`round ${round + 1} of ${rounds}: ${machine()}\n`);
    }
    for (const server of servers) memory.set(server, server.memory);
  } finally {
    await stopAll(servers);
  }
  process.stdout.write(`${machine()}; ${rounds} rounds of ${seconds} s\n\n${throughput(results)}\n\n`);
  const rows = servers.map((server) => [
    server.kind.name,
    server.readySeconds.toFixed(2),
    (memory.get(server) ?? Number.NaN).toFixed(0),
  ]);
  process.stdout.write(`${table(['', 'cold start to ready, s', 'resident memory after, MiB'], rows)}\n`);
}

/** Requests per second, p99 and processor time of every setting, beside the bare server's. */
function throughput(results: ReadonlyMap<string, Drives>): string {
  const rows: string[][] = [];
  for (const [setting, drives] of results) {
    const bare = drives.get(BARE_SERVERS[0]) ?? [];
    const ours = drives.get(OURS) ?? [];
    for (const [kind, own] of drives) {
      const median = (of: (drive: Measured) => number): number => figures(own.map(of)).median;
      const ratio = (others: readonly Measured[], of: (drive: Measured) => number): string => {
        const ratios = figures(own.map((drive, round) => of(drive) / of(others[round] ?? drive)));
        return `${ratios.median.toFixed(2)} (${ratios.min.toFixed(2)} to ${ratios.max.toFixed(2)})`;
      };
      rows.push([
        setting,
        kind.name,
        median(({ requestsPerSecond }) => requestsPerSecond).toFixed(0),
        ratio(bare, ({ requestsPerSecond }) => requestsPerSecond),
        ratio(ours, ({ requestsPerSecond }) => requestsPerSecond),
        median(({ p50 }) => p50).toFixed(2),
        median(({ p99 }) => p99).toFixed(2),
        ratio(bare, ({ p99 }) => p99),
        median(({ processor }) => processor).toFixed(0),
        ratio(bare, ({ processor }) => processor),
      ]);
    }
  }
  return table(
    [
      ...['', 'server', 'requests/s', '× bare', '× Perennial', 'p50, ms', 'p99, ms', 'p99 × bare'],
      ...['processor µs per request', '× bare'],
    ],
    rows,
  );
}

await main();
