import type { z } from 'zod';
import type { DataActivities } from '../contracts/activities.ts';
import type { StageCache } from '../contracts/cache.ts';
import { PerennialError } from '../contracts/errors.ts';
import { inKib, MAX_SPEC_BYTES } from '../contracts/payload-limits.ts';
import type { Expectation } from '../contracts/spec/expectations.ts';
import {
  prepareOutput,
  protectOutput,
  type StageName,
  splitOutput,
  validateOutput,
} from '../contracts/stages.ts';
import { presetsOf } from '../domain/prepared-features.ts';
import { isVolatile } from '../domain/volatile-sql.ts';
import { danfojsVersion } from '../lib/custom-checks/danfojs-version.ts';
import { keyCheck } from '../lib/erasure/subject-column.ts';
import { Secrets } from '../lib/secrets.ts';
import { bounded } from './bounded-output.ts';
import { cachedStage } from './cached.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { type ActivityFrame, framed } from './frame.ts';
import { ingest } from './ingest.ts';
import { prepare } from './prepare.ts';
import { protect } from './protect.ts';
import { RecordedRows } from './recorded-rows.ts';
import { checkSlices, split } from './split.ts';
import { validate } from './validate.ts';

/** Raised by hand when a stage's code gives another output for the same input. */
const CODE_VERSION = { validate: 2, protect: 2, split: 2, prepare: 1 } as const satisfies Partial<
  Record<StageName, number>
>;

type CachedName = keyof typeof CODE_VERSION;
type Input<K extends CachedName> = Parameters<DataActivities[K]>[0];
type Output<K extends CachedName> = Omit<Awaited<ReturnType<DataActivities[K]>>, 'cache'>;

/** A stage of the data part whose output may come from the step cache. */
interface Stage<K extends CachedName> {
  output: z.ZodType<Output<K>>;
  /** What of the input decides about the output. */
  identity(input: Input<K>): unknown;
  work(deps: ActivityDependencies, input: Input<K>, frame: ActivityFrame): Promise<Output<K>>;
  /** What the spec must fit besides, also where the output was there already. */
  check?(deps: ActivityDependencies, input: Input<K>, output: Output<K>, frame: ActivityFrame): Promise<void>;
  /** Tells erasures of the rows of people in what was stored. */
  record(rows: RecordedRows, input: Input<K>, output: Output<K>): Promise<void>;
}

/** A run's rules are judged at its start: the same data later are another question. */
const hangsOnTheMoment = (rule: Expectation): boolean =>
  rule.expect === 'freshness' ||
  (rule.expect === 'sql' && isVolatile(rule.sql ?? rule.query ?? '')) ||
  (rule.expect === 'ratio' && isVolatile(rule.where));

export function dataActivities(deps: ActivityDependencies): DataActivities {
  const cached = <K extends CachedName>(name: K, stage: Stage<K>) =>
    framed(deps.config, async (input: Input<K>, frame): Promise<Output<K> & { cache: StageCache }> => {
      const { output, cache } = await cachedStage(
        deps,
        {
          stage: name,
          codeVersion: CODE_VERSION[name],
          pipeline: input.spec.name,
          input: stage.identity(input),
          policy: input.cache,
          output: stage.output,
        },
        () => stage.work(deps, input, frame),
      );
      await stage.check?.(deps, input, output, frame);
      await stage.record(new RecordedRows(await deps.store()), input, output);
      return bounded(name, { ...output, cache });
    });

  return {
    loadSpec: framed(deps.config, async ({ specRef }) => {
      if (specRef.bytes > MAX_SPEC_BYTES)
        throw new PerennialError(
          'SpecInvalid',
          `artifact ${specRef.uri} takes ${inKib(specRef.bytes)}, a pipeline spec at most ${inKib(MAX_SPEC_BYTES)}`,
        );
      const spec = await (await deps.store()).json(specRef);
      if (typeof spec !== 'object' || spec === null || Array.isArray(spec))
        throw new PerennialError(
          'SpecInvalid',
          `artifact ${specRef.uri} is not a pipeline spec: expected a JSON object`,
        );
      return { spec: { ...spec } };
    }),

    ingest: framed(deps.config, async (input, frame) => {
      const output = await ingest(deps, input, frame);
      await new RecordedRows(await deps.store()).ingest(input, output);
      return bounded('ingest', output);
    }),

    validate: cached('validate', {
      output: validateOutput.omit({ cache: true }),
      identity: ({ spec, ingest: { table, sources, findings }, asOf, champion }) => ({
        name: spec.name,
        table,
        sources: sources.map(({ name, snapshot }) => ({ name, snapshot })),
        findings,
        task: spec.task,
        columns: spec.columns,
        features: spec.features,
        expectations: spec.expectations,
        privacy: spec.privacy,
        champion,
        ...(spec.expectations.some(hangsOnTheMoment) ? { asOf } : {}),
        // The module's own digest stands in its rule.
        ...(spec.expectations.some(({ expect }) => expect === 'custom') ? { danfojs: danfojsVersion() } : {}),
      }),
      work: validate,
      record: (rows, input, output) => rows.validate(input, output),
    }),

    protect: cached('protect', {
      output: protectOutput.omit({ cache: true }),
      identity: ({ spec: { privacy }, ingest: { findings }, validate: { table } }) => ({
        table,
        findings,
        privacy,
        // Another key behind the same name makes other pseudonyms.
        key: privacy.pseudonymKey && keyCheck(new Secrets(process.env).resolve(privacy.pseudonymKey)),
      }),
      work: protect,
      record: (rows, input, output) => rows.protect(input, output),
    }),

    split: cached('split', {
      output: splitOutput.omit({ cache: true }),
      identity: ({ spec, protect: { table, sensitive } }) => ({
        table,
        sensitive,
        task: spec.task,
        columns: spec.columns,
        split: spec.split,
        overlap: spec.expectations.filter((rule) => rule.expect === 'overlap'),
        features: spec.features,
        privacy: spec.privacy,
      }),
      work: split,
      check: checkSlices,
      record: (rows, input, output) => rows.split(input, output),
    }),

    prepare: cached('prepare', {
      output: prepareOutput.omit({ cache: true }),
      identity: ({ spec, split: { cache: _cache, ...parts } }) => ({
        parts,
        task: spec.task,
        columns: spec.columns,
        split: spec.split,
        features: spec.features,
        privacy: spec.privacy,
        presets: presetsOf(spec.candidates).sort(),
        ...(spec.training.crossValidation ? { crossValidation: spec.training.crossValidation } : {}),
        ...(spec.training.ageWeights ? { ageWeights: spec.training.ageWeights } : {}),
      }),
      work: prepare,
      record: (rows, input, output) => rows.prepare(input, output),
    }),
  };
}
