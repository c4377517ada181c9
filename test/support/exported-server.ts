import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const readyLine = z.object({ ready: z.literal(true), url: z.string() });

/** How a program is started: nothing of this process's environment reaches it. */
export interface Command {
  readonly program: string;
  readonly args?: readonly string[];
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder for PATH in which there is Node and nothing else. */
export async function nodeAlone(folder: string): Promise<string> {
  const bin = join(folder, 'bin');
  await mkdir(bin, { recursive: true });
  await symlink(process.execPath, join(bin, 'node'));
  return bin;
}

/** Runs a program to its end. */
export function ended({ program, args = [], cwd, env = {} }: Command): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const text = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => {
      text.stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      text.stderr += chunk.toString();
    });
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...text }));
  });
}

/** An exported server in a process of its own. */
export interface ExportedServer {
  readonly url: string;
  /** Milliseconds from the start of the process to its ready line. */
  readonly readyMs: number;
  /** Asks it to stop. @returns how it ended */
  stop(): Promise<{ code: number | null; stderr: string }>;
}

/** Starts an exported server on a free port and waits for its ready line. */
export async function startExported(command: Command): Promise<ExportedServer> {
  const began = performance.now();
  const child = spawn(command.program, command.args ?? [], {
    cwd: command.cwd,
    env: { PERENNIAL_SERVER_PORT: '0', ...command.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const over = once(child, 'close');
  let stdout = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`the server ended with ${code}: ${stderr}`)));
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      const [line, rest] = stdout.split('\n');
      if (line !== undefined && rest !== undefined) resolve(readyLine.parse(JSON.parse(line)).url);
    });
  });
  const readyMs = performance.now() - began;
  return {
    url,
    readyMs,
    stop: async () => {
      child.kill('SIGTERM');
      await over;
      return { code: child.exitCode, stderr };
    },
  };
}
