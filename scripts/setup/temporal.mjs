// A Temporal CLI: one that exists, or one made here.

import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execute, ROOT, SetupError } from './steps.mjs';

// The newest release that `go install` accepts: later ones have a replace directive in go.mod.
export const CLI_VERSION = 'v1.5.1';
const BIN = join(ROOT, '.perennial', 'bin');
const OWN = join(BIN, 'temporal');
const RECORD = join(BIN, 'temporal.json');
const DOWNLOAD_TIMEOUT_MS = 120_000;

/**
 * Finds or makes the CLI: `TEMPORAL_CLI_PATH`, `PATH`, an earlier set-up's, the download of the Temporal SDK,
 * `go install`. One found elsewhere is noted in `.perennial/bin/temporal.json`, not copied.
 */
export async function provideTemporal(progress) {
  mkdirSync(BIN, { recursive: true, mode: 0o700 });
  const named = process.env.TEMPORAL_CLI_PATH;
  if (named) {
    const version = await versionOf(resolve(named));
    if (!version) {
      throw new SetupError(
        `TEMPORAL_CLI_PATH names "${named}", which does not run as a Temporal CLI. Correct it, or unset it to have one installed.`,
      );
    }
    return record(resolve(named), version, 'TEMPORAL_CLI_PATH');
  }
  for (const path of [...inPath(), OWN, recorded()]) {
    const version = path && (await versionOf(path));
    if (version) return record(path, version, path === OWN ? 'set-up' : 'found');
  }
  if (await download(progress)) return record(OWN, await versionOf(OWN), 'downloaded by the Temporal SDK');
  return goInstall(progress);
}

function inPath() {
  const folders = (process.env.PATH ?? '').split(delimiter).filter(isAbsolute);
  return folders.map((folder) => join(folder, 'temporal')).filter(isExecutable);
}

function recorded() {
  try {
    return JSON.parse(readFileSync(RECORD, 'utf8')).path;
  } catch {
    return undefined;
  }
}

function record(path, version, source) {
  const text = `${JSON.stringify({ path, version, source }, null, 2)}\n`;
  if (!existsSync(RECORD) || readFileSync(RECORD, 'utf8') !== text) {
    writeFileSync(`${RECORD}.${process.pid}`, text, { mode: 0o600 });
    renameSync(`${RECORD}.${process.pid}`, RECORD);
  }
  return `${version}, ${source}: ${path}`;
}

/** What `temporal --version` says; `undefined` where it is not there or is something else. */
async function versionOf(path) {
  if (!isExecutable(path)) return undefined;
  const { code, output } = await execute(path, ['--version'], { timeoutMs: 20_000 });
  return code === 0 && output.startsWith('temporal version')
    ? output.replace(/^temporal version /, '')
    : undefined;
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** In a process of its own, as it loads a native library and cannot be interrupted otherwise. Silent where it fails. */
async function download(progress) {
  progress('asking the Temporal SDK for a download');
  const script = fileURLToPath(new URL('temporal-download.mjs', import.meta.url));
  const folder = mkdtempSync(join(BIN, 'download-'));
  try {
    const { code, output } = await execute(process.execPath, [script, folder, CLI_VERSION], {
      timeoutMs: DOWNLOAD_TIMEOUT_MS,
    });
    const file = output.split('\n').at(-1);
    if (code !== 0 || !file || !(await versionOf(file))) return false;
    renameSync(file, OWN);
    return true;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function goInstall(progress) {
  const go = await execute('go', ['version']);
  if (go.code !== 0) {
    throw new SetupError(
      'No Temporal CLI was found, it could not be downloaded, and there is no Go to build it with. Install it (https://docs.temporal.io/cli#install) or Go (https://go.dev/dl), or set TEMPORAL_CLI_PATH, then run "npm run setup" again.',
    );
  }
  progress(`building it with ${go.output.split(' ')[2] ?? 'go'}; from cold this takes some minutes`);
  // Built beside its place and then renamed: an interrupted build leaves no half of a program.
  const folder = mkdtempSync(join(BIN, 'go-'));
  try {
    const { code, tail } = await execute(
      'go',
      ['install', '-v', `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`],
      {
        progress: (line) => progress(`go: ${line}`),
        env: { GOBIN: folder, GOFLAGS: '' },
      },
    );
    if (code !== 0) {
      throw new SetupError(
        `"go install" of the Temporal CLI ${CLI_VERSION} failed; check the network or GOPROXY, or set TEMPORAL_CLI_PATH. Go said:\n${tail}`,
      );
    }
    renameSync(join(folder, 'temporal'), OWN);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const version = await versionOf(OWN);
  if (!version)
    throw new SetupError(
      `The Temporal CLI was built, but ${OWN} does not run. Set TEMPORAL_CLI_PATH to another one.`,
    );
  return record(OWN, version, `go install ${CLI_VERSION}`);
}
