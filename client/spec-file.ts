import { readFile } from 'node:fs/promises';
import { dirname, extname, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseDocument } from 'yaml';
import { PerennialError } from '../contracts/errors.ts';
import { issueLines } from '../contracts/issues.ts';
import { pipelineKeys } from '../contracts/spec/json-schema.ts';
import { type PipelineSpec, pipelineSpec } from '../contracts/spec/pipeline.ts';
import { bundleRules } from './bundle-module.ts';

/** Spec files above this are not read. */
const MAX_BYTES = 1_000_000;

/** A spec that stands on its own: SQL inlined, paths absolute. */
export interface LoadedSpec {
  /** As people wrote it, self-contained; this is sent to the workflow. */
  input: Record<string, unknown>;
  /** With all defaults. */
  spec: PipelineSpec;
}

/**
 * Reads a pipeline spec from YAML, JSON or TypeScript (default export) and makes it self-contained.
 *
 * @throws PerennialError `SpecInvalid` with one line for each problem: path, what was expected, the nearest right word
 */
export async function loadSpec(file: string): Promise<LoadedSpec> {
  const path = resolve(file);
  const raw = await readSpec(path);
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw))
    throw new PerennialError('SpecInvalid', `${file}: expected an object with name, task, data, columns`);
  const input = await selfContained({ ...raw }, dirname(path), file);
  const parsed = pipelineSpec.safeParse(input);
  if (!parsed.success)
    throw new PerennialError(
      'SpecInvalid',
      issueLines(parsed.error, input, pipelineKeys)
        .map((line) => `${file}: ${line}`)
        .join('\n'),
    );
  return { input, spec: parsed.data };
}

async function readSpec(path: string): Promise<unknown> {
  const extension = extname(path);
  if (extension === '.ts' || extension === '.mts') return importTypeScript(path);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new PerennialError('SpecInvalid', `${path}: no such file, or it cannot be read`, false, { cause });
  });
  if (bytes.length > MAX_BYTES)
    throw new PerennialError(
      'SpecInvalid',
      `${path}: ${bytes.length} bytes are too much for a spec; at most ${MAX_BYTES}`,
    );
  // JSON is YAML; one parser gives line and column for both.
  const document = parseDocument(bytes.toString('utf8'));
  const [problem] = document.errors;
  if (problem) throw new PerennialError('SpecInvalid', `${path}: ${problem.message}`);
  return document.toJS({ maxAliasCount: 100 });
}

async function importTypeScript(path: string): Promise<unknown> {
  const { tsImport } = await import('tsx/esm/api').catch((cause: unknown) => {
    throw new PerennialError(
      'SpecInvalid',
      `${path}: a spec in TypeScript needs the package tsx; run \`npm install tsx\`, or write the spec in YAML`,
      false,
      { cause },
    );
  });
  const module: unknown = await tsImport(pathToFileURL(path).href, import.meta.url);
  const exported =
    typeof module === 'object' && module !== null && 'default' in module ? module.default : undefined;
  if (exported === undefined)
    throw new PerennialError(
      'SpecInvalid',
      `${path}: the module has no default export; write \`export default definePipeline({ … })\``,
    );
  return JSON.parse(JSON.stringify(exported));
}

/** Inlines SQL files and the modules of custom checks, and makes source paths absolute, so that the spec means the same wherever it is read. */
async function selfContained(
  spec: Record<string, unknown>,
  folder: string,
  file: string,
): Promise<Record<string, unknown>> {
  const { data } = spec;
  if (!isObject(data)) return spec;
  // A path that begins with a secret is made whole by the worker; an address is none.
  const absolute = (path: string): string =>
    isAbsolute(path) || path.startsWith('${env:') || /^[a-z0-9+]+:\/\//i.test(path)
      ? path
      : join(folder, path);
  const source = (value: unknown): unknown =>
    typeof value === 'string'
      ? absolute(value)
      : isObject(value) && typeof value.path === 'string'
        ? { ...value, path: absolute(value.path) }
        : value;
  const sources = isObject(data.sources)
    ? Object.fromEntries(Object.entries(data.sources).map(([name, value]) => [name, source(value)]))
    : data.sources;
  const inlined = async (value: unknown, where: string): Promise<unknown> =>
    typeof value === 'string' && /^\S+\.sql$/.test(value.trim())
      ? readSql(absolute(value.trim()), `${file}: ${where}`)
      : value;
  const sql = await inlined(data.sql, 'data.sql');
  const featureViews = isObject(spec.featureViews)
    ? await inlinedViews(spec.featureViews, inlined)
    : spec.featureViews;
  const expectations = await bundleRules(spec.expectations, absolute);
  return {
    ...spec,
    ...(expectations === undefined ? {} : { expectations }),
    ...(featureViews === undefined ? {} : { featureViews }),
    data: { ...data, ...(sources === undefined ? {} : { sources }), ...(sql === undefined ? {} : { sql }) },
  };
}

/** The feature views of a spec with the SQL of their events. */
async function inlinedViews(
  views: Record<string, unknown>,
  inlined: (value: unknown, where: string) => Promise<unknown>,
): Promise<Record<string, unknown>> {
  const whole = async ([name, view]: [string, unknown]): Promise<[string, unknown]> =>
    isObject(view)
      ? [name, { ...view, events: await inlined(view.events, `featureViews.${name}.events`) }]
      : [name, view];
  return Object.fromEntries(await Promise.all(Object.entries(views).map(whole)));
}

const readSql = (path: string, where: string): Promise<string> =>
  readFile(path, 'utf8').catch((cause: unknown) => {
    throw new PerennialError('SpecInvalid', `${where}: there is no file ${path}`, false, { cause });
  });

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
