import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { capRunningLog, openLog, readLog } from '../../client/platform/logs.ts';
import { mlflowPart } from '../../client/platform/mlflow-part.ts';
import { resolveOptions } from '../../client/platform/options.ts';
import { ownPart, readyUrl } from '../../client/platform/own-part.ts';
import { PortClaims } from '../../client/platform/port-claims.ts';
import { choosePorts } from '../../client/platform/ports.ts';
import { identityOf } from '../../client/platform/process-identity.ts';
import { findPython, findTemporalCli } from '../../client/platform/programs.ts';
import { formatStatus } from '../../client/platform/status.ts';
import { temporalPart } from '../../client/platform/temporal-part.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/names.ts';
import { freePort } from '../support/free-port.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'perennial-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Occupies a port. */
const listen = (port: number): Promise<Server> =>
  new Promise((resolve, reject) => {
    const server = createServer()
      .once('error', reject)
      .listen(port, '127.0.0.1', () => resolve(server));
  });
const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));

describe('ports', () => {
  let claims: PortClaims;
  beforeEach(() => {
    claims = new PortClaims(join(folder, 'claims'));
  });
  afterEach(() => claims.release());

  it('are the wanted ones, then those of the last start', async () => {
    const [a, b, c] = [await freePort(), await freePort(), await freePort()];
    const ports = await choosePorts({ temporal: a }, { temporal: c, mlflow: b }, claims);
    expect(ports.temporal).toBe(a);
    expect(ports.mlflow).toBe(b);
    claims.release();
    const again = await choosePorts({ temporal: a }, { mlflow: b }, claims);
    expect(again).toMatchObject({ temporal: a, mlflow: b });
  });

  it('fall back to a free one, and never name one twice', async () => {
    const busy = await freePort();
    const server = await listen(busy);
    try {
      const ports = await choosePorts({ temporal: busy, mlflow: busy }, { server: busy }, claims);
      expect(Object.values(ports)).not.toContain(busy);
      expect(new Set(Object.values(ports)).size).toBe(4);
    } finally {
      await close(server);
    }
  });

  it('of one part are not given to another', async () => {
    const a = await freePort();
    const ports = await choosePorts({ server: a }, { temporal: a }, claims);
    expect(ports.server).toBe(a);
    expect(ports.temporal).not.toBe(a);
  });

  it('are not those that another platform has claimed, as long as it lives', async () => {
    const [a, b] = [await freePort(), await freePort()];
    const claim = (port: number, owner: object) =>
      writeFileSync(join(folder, 'claims', `${port}.lock`), JSON.stringify(owner));
    mkdirSync(join(folder, 'claims'));
    claim(a, identityOf(process.ppid) ?? {});
    claim(b, { pid: process.ppid, started: 'long ago' });
    const ports = await choosePorts({ temporal: a, mlflow: b }, {}, claims);
    expect(ports.temporal).not.toBe(a);
    expect(ports.mlflow).toBe(b);
  });
});

describe('options', () => {
  it('leave out what an address is given for', () => {
    const { parts } = resolveOptions({ temporalAddress: 'temporal:7233', mlflowUri: 'http://mlflow:5000' });
    expect([...parts]).toEqual(['worker', 'server']);
  });

  it('name the model server "local" on an own Temporal, and otherwise by folder, always the same', () => {
    expect(resolveOptions({}).serverId).toBe('local');
    const shared = (dataDir: string): string =>
      resolveOptions({ dataDir, temporalAddress: 'temporal:7233' }).serverId;
    expect(shared('/a')).toBe(shared('/a'));
    expect(shared('/a')).not.toBe(shared('/b'));
  });

  it.each([
    [{ temporalAddress: 'http://temporal' }, 'temporalAddress'],
    [{ mlflowUri: 'file:///mlruns' }, 'mlflowUri'],
    [{ namespace: '--help' }, 'namespace'],
    [{ serverId: 'a/b' }, 'serverId'],
    [{ ports: { mlflow: 70_000 } }, 'ports.mlflow'],
    [{ parts: ['worker' as const] }, 'temporalAddress'],
  ])('that are wrong are named: %j', (options, word) => {
    expect(() => resolveOptions(options)).toThrow(word);
  });
});

describe('programs', () => {
  it('are taken from where they are named, and refused where they do not run', () => {
    const path = join(folder, 'temporal');
    writeFileSync(path, '#!/bin/sh\n');
    expect(() => findTemporalCli(undefined, { TEMPORAL_CLI_PATH: path })).toThrow('TEMPORAL_CLI_PATH');
    chmodSync(path, 0o755);
    expect(findTemporalCli(undefined, { TEMPORAL_CLI_PATH: path })).toBe(path);
    expect(findTemporalCli(path, { TEMPORAL_CLI_PATH: '/nowhere' })).toBe(path);
    expect(() => findPython('/nowhere/python')).toThrow('npm run setup');
  });
});

describe('what the parts are started with', () => {
  const secret = {
    PERENNIAL_SECRET_DB: 'hunter2',
    TEMPORAL_NAMESPACE: 'other',
    MLFLOW_TRACKING_URI: 'http://x',
    PATH: '/bin',
  };

  it('Temporal listens on the loopback interface and knows the search attributes', () => {
    const part = temporalPart(folder, '/bin/temporal', { temporal: 1, temporalUi: 2 }, 'team', secret);
    const line = part.args.join(' ');
    expect(line).toContain('--ip 127.0.0.1 --port 1 --ui-port 2');
    for (const { name } of Object.values(SEARCH_ATTRIBUTES))
      expect(line).toContain(`--search-attribute ${name}=`);
    expect(line).toContain('--sqlite-pragma journal_mode=WAL');
    expect(part.env).toEqual({
      MLFLOW_TRACKING_URI: 'http://x',
      PATH: '/bin',
      TEMPORAL_VERSION_CHECK_DISABLED: '1',
    });
  });

  it('MLflow listens on the loopback interface, sends nothing, and gets no secrets', () => {
    const part = mlflowPart(folder, '/bin/python', 5, secret);
    expect(part.args.join(' ')).toContain('--host 127.0.0.1 --port 5 --workers 1');
    expect(part.env).toMatchObject({ MLFLOW_DISABLE_TELEMETRY: 'true', DO_NOT_TRACK: 'true', PATH: '/bin' });
    expect(Object.keys(part.env)).not.toContain('PERENNIAL_SECRET_DB');
    expect(Object.keys(part.env)).not.toContain('MLFLOW_TRACKING_URI');
  });

  it('the worker gets addresses, folders and secrets', () => {
    const part = ownPart('worker', {
      dataDir: folder,
      temporalAddress: '127.0.0.1:7233',
      namespace: 'team',
      mlflowUri: undefined,
      temporalUi: undefined,
      python: '/bin/python',
      serverPort: 8080,
      serverId: 'local',
      sourceRoots: ['/a', '/b'],
      resources: ['gpu', 'tpu'],
      replay: true,
      script: '/main.js',
      env: { ...secret },
    });
    expect(part.args).toEqual(['/main.js', 'worker']);
    expect(part.env).toMatchObject({
      ...{ TEMPORAL_ADDRESS: '127.0.0.1:7233', TEMPORAL_NAMESPACE: 'team', PERENNIAL_SOURCE_ROOTS: '/a:/b' },
      ...{ PERENNIAL_SECRET_DB: 'hunter2', PERENNIAL_SERVER_PORT: '8080', PERENNIAL_RESOURCES: 'gpu,tpu' },
      PERENNIAL_REPLAY: '1',
    });
    expect(part.env.MLFLOW_TRACKING_URI).toBe('http://x');
  });
});

describe('the ready line', () => {
  it('is found among other lines once it is whole', () => {
    expect(readyUrl('starting\n{"ready":true,"url":"http://127.0.0.1:8080"')).toBeUndefined();
    expect(readyUrl('starting\n{"level":30}\n{"ready":true,"url":"http://127.0.0.1:8080"}\nmore')).toBe(
      'http://127.0.0.1:8080',
    );
    expect(readyUrl('{"ready":true}\n')).toBe('');
    expect(readyUrl('{"ready":false}\n{"ready":nonsense}\n')).toBeUndefined();
  });
});

describe('logs', () => {
  it('are put aside at a start where they are too large, and the last two are kept', () => {
    const path = join(folder, 'logs', 'part.log');
    for (const text of ['first', 'second', 'third']) writeSync(openLog(path, 3), text);
    writeSync(openLog(path, 100), ' and more');
    expect(readLog(path)).toBe('third and more');
    expect(readLog(`${path}.1`)).toBe('second');
    expect(readLog(`${path}.2`)).toBe('first');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('of a running process are emptied under its feet', () => {
    const path = join(folder, 'part.log');
    const file = openSync(path, 'a');
    writeSync(file, 'before');
    capRunningLog(path, 100);
    expect(readFileSync(path, 'utf8')).toBe('before');
    capRunningLog(path, 3);
    writeSync(file, 'after');
    expect(readFileSync(path, 'utf8')).toBe('after');
    expect(readFileSync(`${path}.1`, 'utf8')).toBe('before');
  });

  it('are read from an offset on; a missing one is empty', () => {
    const path = join(folder, 'part.log');
    writeFileSync(path, 'one two');
    expect(readLog(path, 4)).toBe('two');
    expect(readLog(join(folder, 'none.log'))).toBe('');
  });
});

describe('the status table', () => {
  it('has one line per part, the reason of a failure, and where to look', () => {
    const since = '2026-01-01T10:11:12.345Z';
    const text = formatStatus({
      ...{
        dataDir: '/data',
        startedAt: since,
        temporalAddress: '127.0.0.1:7233',
        namespace: 'team',
        serverId: 'local',
      },
      temporalUi: 'http://127.0.0.1:8233',
      parts: [
        {
          name: 'temporal',
          state: 'ready',
          url: '127.0.0.1:7233',
          process: { pid: 42, started: 'x' },
          since,
          restarts: 0,
        },
        { name: 'worker', state: 'failed', since, restarts: 5, note: 'It ended with exit code 1.' },
      ],
    });
    const lines = text.split('\n');
    expect(lines[1]).toMatch(/^temporal +ready +127\.0\.0\.1:7233 +42 +0 +2026-01-01 10:11:12Z$/);
    expect(lines[2]).toMatch(/^worker +failed +- +- +5 /);
    expect(text).toContain('worker: It ended with exit code 1.');
    expect(text).toContain('http://127.0.0.1:8233');
  });
});
