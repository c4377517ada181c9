import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import getPort from 'get-port';
import { findPython } from '../client/platform/programs.ts';
import { PEERS_FOLDER, peerPython } from './peer-environments.ts';
import type { ServingModel } from './serving-model.ts';

const ROOT = join(import.meta.dirname, '..');
const START_MS = 120_000;
const STOP_MS = 10_000;
/** Linux counts processor time so, whatever its kernel's own rate. */
const TICKS_PER_SECOND = 100;

/** A server that is measured. */
export interface ServerKind {
  readonly name: string;
  /** Its virtual environment and what is installed there; the project's own Python where there is none. */
  readonly environment?: { readonly venv: string; readonly packages: readonly string[] };
  /** File of the request body, without the number of rows. */
  readonly body: string;
  /** Path of predictions, and one that answers when the server is ready. */
  readonly path: string;
  readonly ready: string;
  start(model: ServingModel, port: number, folder: string): Command;
}

interface Command {
  readonly command: readonly [string, ...string[]];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const node =
  (mode: string): ServerKind['start'] =>
  (model, port) => ({
    command: [process.execPath, join(PEERS_FOLDER, 'node_server.mjs')],
    env: { MODEL: model.onnx, PORT: String(port), MODE: mode, NODE_MODULES: ROOT },
  });

const python = (kind: ServerKind): string =>
  kind.environment ? peerPython(kind.environment) : findPython(undefined);

/** Another program of a Python environment. */
const beside = (program: string, kind: ServerKind): string => join(python(kind), '..', program);

const BARE: ServerKind = {
  name: 'bare Node',
  body: 'split',
  path: '/invocations',
  ready: '/',
  start: node(''),
};
const ECHO: ServerKind = { ...BARE, name: 'bare Node, no model', start: node('echo') };

/** The built server, started as `perennial serve` starts it, from the routes that it was last given. */
const own = (name: string, processes: number, body = 'split', path = '/invocations'): ServerKind => ({
  name,
  body,
  path,
  ready: '/v2/health/ready',
  start: (model, port, folder) => {
    // A data directory of its own: what an earlier run put on record is not archived in this one.
    const data = join(folder, 'data');
    rmSync(data, { recursive: true, force: true });
    cpSync(model.dataDir, data, { recursive: true });
    return {
      command: [process.execPath, join(ROOT, 'dist', 'workers', 'main.js'), 'serve'],
      env: {
        PERENNIAL_DATA_DIR: data,
        PERENNIAL_SERVER_ID: model.serverId,
        // Nobody listens there: a server serves without Temporal and MLflow.
        TEMPORAL_ADDRESS: '127.0.0.1:1',
        PERENNIAL_SERVER_PORT: String(port),
        // Unset, it would be one for each core.
        PERENNIAL_SERVER_PROCESSES: String(processes),
      },
    };
  },
});

const MLSERVER: ServerKind = {
  name: 'MLServer 1.7.1, onnxruntime',
  // With uvloop 0.22 its workers die at the start.
  environment: {
    venv: 'mlserver',
    packages: ['mlserver==1.7.1', 'onnx', 'onnxruntime==1.31.1', 'uvloop<0.22'],
  },
  body: 'v2_',
  path: '/v2/models/m/infer',
  ready: '/v2/models/m/ready',
  start: (model, port, folder) => {
    const settings = { host: '127.0.0.1', http_port: port, grpc_port: port + 1, metrics_port: port + 2 };
    writeFileSync(
      join(folder, 'settings.json'),
      JSON.stringify({ ...settings, parallel_workers: 0, debug: false }),
    );
    writeFileSync(
      join(folder, 'model-settings.json'),
      JSON.stringify({ name: 'm', implementation: 'mlserver_onnx.Onnx', parameters: { uri: model.onnx } }),
    );
    return {
      command: [beside('mlserver', MLSERVER), 'start', '.'],
      cwd: folder,
      env: { PYTHONPATH: PEERS_FOLDER, PATH: pathOf(MLSERVER) },
    };
  },
};

const MLFLOW: ServerKind = {
  name: 'mlflow models serve 3.17.2',
  body: 'split',
  path: '/invocations',
  ready: '/ping',
  start: (model, port) => ({
    command: [
      beside('mlflow', MLFLOW),
      ...['models', 'serve', '-m', join(model.folder, 'mlmodel1d'), '--env-manager', 'local'],
      ...['-p', String(port), '-w', '1', '-h', '127.0.0.1'],
    ],
    env: { PATH: pathOf(MLFLOW), MLFLOW_DISABLE_TELEMETRY: 'true' },
  }),
};

const BENTOML: ServerKind = {
  name: 'BentoML 1.4.39',
  environment: { venv: 'bentoml', packages: ['bentoml==1.4.39', 'onnxruntime==1.31.1'] },
  body: 'bento',
  path: '/predict',
  ready: '/readyz',
  start: (model, port) => ({
    command: [
      beside('bentoml', BENTOML),
      ...['serve', 'bento_service:Svc', '--port', String(port), '--host', '127.0.0.1'],
    ],
    cwd: PEERS_FOLDER,
    env: { PATH: pathOf(BENTOML), MODEL: model.onnx, WORKERS: '1', BENTOML_DO_NOT_TRACK: 'True' },
  }),
};

const pathOf = (kind: ServerKind): string => [join(python(kind), '..'), process.env.PATH].join(delimiter);

/** What stands beside ours, by the name that `--peers` takes. */
export const SERVING_PEERS = {
  mlserver: MLSERVER,
  mlflow: MLFLOW,
  bentoml: BENTOML,
} as const satisfies Record<string, ServerKind>;

/** Without a model server around the model, and without a model; ours is compared with the first. */
export const BARE_SERVERS = [BARE, ECHO] as const;

export const OURS = own('Perennial', 1);
export const OURS_BINARY = own('Perennial, binary tensors', 1, 'binary', '/v2/models/m/infer');
export const OURS_TWO = own('Perennial, 2 processes', 2);

/** A server that runs. */
export class RunningServer {
  private constructor(
    readonly kind: ServerKind,
    readonly url: string,
    /** Seconds from its start to its first answer that says it is ready. */
    readonly readySeconds: number,
    private readonly child: ChildProcess,
  ) {}

  /** Starts a server and waits until it is ready. */
  static async start(kind: ServerKind, model: ServingModel): Promise<RunningServer> {
    const port = await getPort({ host: '127.0.0.1' });
    const folder = join(model.folder, kind.name.replaceAll(/\W+/g, '-'));
    mkdirSync(folder, { recursive: true });
    const { command, cwd = folder, env = {} } = kind.start(model, port, folder);
    const [program, ...args] = command;
    const log = join(folder, 'server.log');
    const out = openSync(log, 'w');
    const begin = performance.now();
    const child = spawn(program, args, {
      cwd,
      stdio: ['ignore', out, out],
      env: { ...process.env, NO_PROXY: '127.0.0.1', DO_NOT_TRACK: 'true', ...env },
    });
    const server = (): RunningServer =>
      new RunningServer(kind, `http://127.0.0.1:${port}`, (performance.now() - begin) / 1_000, child);
    while (performance.now() - begin < START_MS && child.exitCode === null) {
      const answer = await fetch(`http://127.0.0.1:${port}${kind.ready}`).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.ok) return server();
      await sleep(20);
    }
    await server().stop();
    throw new Error(`${kind.name} did not start; its words are in ${log}`);
  }

  /** MiB of memory that it and all its processes hold. */
  get memory(): number {
    return this.#processes().reduce((sum, pid) => sum + (statusNumber(pid, 'VmRSS') ?? 0), 0) / 1_024;
  }

  /** Seconds of processor time that it and all its processes have used, those that have ended included. */
  get processorSeconds(): number {
    return this.#processes().reduce((sum, pid) => sum + processorTicks(pid) / TICKS_PER_SECOND, 0);
  }

  /** Processes of its own, itself included. */
  get processes(): number {
    return this.#processes().length;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const processes = this.#processes();
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    await Promise.race([ended, sleep(STOP_MS, undefined, { ref: false })]);
    for (const pid of processes)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended, as it should.
      }
  }

  #processes(): number[] {
    const parents = new Map<number, number>();
    for (const entry of readdirSync('/proc')) {
      const pid = Number(entry);
      const parent = Number.isInteger(pid) ? statusNumber(pid, 'PPid') : undefined;
      if (parent !== undefined) parents.set(pid, parent);
    }
    const all = this.child.pid === undefined ? [] : [this.child.pid];
    for (const pid of all) for (const [own, parent] of parents) if (parent === pid) all.push(own);
    return all;
  }
}

function statusNumber(pid: number, field: string): number | undefined {
  try {
    const found = new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return found ? Number(found[1]) : undefined;
  } catch {
    return undefined;
  }
}

/** User and system time, its own and its ended children's; see proc_pid_stat(5). The name of the program before them may hold anything but `)`. */
function processorTicks(pid: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  } catch {
    return 0;
  }
}
