import { PerennialError } from '../contracts/errors.ts';
import { nearest } from '../contracts/issues.ts';
import { LINEAGE_FILE, loggedModelOf, type ModelLineage, parseLineage } from '../contracts/lineage.ts';
import {
  collect,
  type MlflowClient,
  MlflowError,
  type ModelVersion,
} from '../packages/mlflow-client-ts/src/index.ts';

/** A registered version, with what it was made of. */
export interface TracedVersion {
  name: string;
  version: string;
  aliases: string[];
  /** `deployed`, `candidate`, or why it was not deployed. */
  outcome: string;
  lineage: ModelLineage;
}

const MOST_NAMES = 1_000;
const SHOWN = 20;

const refused = (message: string, cause?: unknown): PerennialError =>
  new PerennialError('InputInvalid', message, false, { cause });

const listed = (words: readonly string[]): string =>
  words.length > SHOWN
    ? `${words.slice(0, SHOWN).join(', ')} and ${words.length - SHOWN} more`
    : words.join(', ');

/**
 * A version of a registered model and its lineage.
 *
 * @param model its name; also `name@alias` and `name/version`
 * @param wanted number of a version or an alias; by default what `model` says, else `champion`
 * @throws PerennialError `InputInvalid` where there is none, with the nearest name that there is
 * @example await tracedVersion(mlflow, 'flights-delay@challenger')
 */
export async function tracedVersion(
  mlflow: MlflowClient,
  model: string,
  wanted?: string,
): Promise<TracedVersion> {
  const found = await registeredVersion(mlflow, model, wanted);
  const { name, version, tags, aliases, modelId } = found;
  const of = `version ${version} of ${name}`;
  const bytes = await mlflow.artifacts
    .downloadBytes({ modelId, path: LINEAGE_FILE })
    .catch((cause: unknown) => {
      if (!(cause instanceof MlflowError && cause.isNotFound)) throw cause;
      throw refused(`${of} has no ${LINEAGE_FILE} in its model directory`, cause);
    });
  return {
    name,
    version,
    aliases: [...aliases],
    outcome: tags['perennial.outcome'] ?? '',
    lineage: parseLineage(Buffer.from(bytes).toString('utf8'), of),
  };
}

/** A version of a registered model that Perennial made. */
export type PerennialVersion = ModelVersion & { modelId: string };

/**
 * A version of a registered model; the arguments are those of {@link tracedVersion}.
 *
 * @throws PerennialError `InputInvalid` where there is none, or Perennial did not register it
 */
export async function registeredVersion(
  mlflow: MlflowClient,
  model: string,
  wanted?: string,
): Promise<PerennialVersion> {
  const [, name = model, inName] = /^([^@/]+)[@/](.+)$/.exec(model) ?? [];
  if (inName !== undefined && wanted !== undefined)
    throw refused(`${model} names a version already; leave ${wanted} out`);
  const found = await versionOf(mlflow, name, (wanted ?? inName)?.replace(/^@/, ''));
  const modelId = loggedModelOf(found);
  if (modelId !== undefined) return { ...found, modelId };
  throw refused(
    `version ${found.version} of ${name} was not registered by Perennial, so nobody knows what it was made of`,
  );
}

async function versionOf(
  mlflow: MlflowClient,
  name: string,
  wanted: string | undefined,
): Promise<ModelVersion> {
  const { aliases } = await mlflow.registeredModels.get({ name }).catch(async (cause: unknown) => {
    if (!(cause instanceof MlflowError && cause.isNotFound)) throw cause;
    const names = (await collect(mlflow.registeredModels.search({ limit: MOST_NAMES }))).map(
      (one) => one.name,
    );
    const hint = nearest(name, names);
    throw refused(
      `there is no model ${name}${hint ? `; did you mean ${hint}?` : names.length > 0 ? `. The models are ${listed(names)}` : '; nothing was registered yet'}`,
      cause,
    );
  });
  const version = aliases[wanted ?? 'champion'] ?? wanted;
  const known = async (): Promise<string> => {
    const all = await collect(
      mlflow.modelVersions.search({
        filter: `name = '${name.replaceAll("'", '')}'`,
        orderBy: ['version_number DESC'],
        limit: MOST_NAMES,
      }),
    );
    const names = Object.entries(aliases).map(([alias, number]) => `${alias} (${number})`);
    return `Versions: ${listed(all.map((one) => one.version)) || 'none'}${names.length > 0 ? `; aliases: ${listed(names)}` : ''}`;
  };
  if (version === undefined) throw refused(`no version of ${name} is champion; name one. ${await known()}`);
  if (!/^\d{1,9}$/.test(version)) {
    const hint = nearest(version, Object.keys(aliases));
    throw refused(`${name} has no alias ${version}${hint ? `; did you mean ${hint}?` : ''} ${await known()}`);
  }
  return mlflow.modelVersions.get({ name, version }).catch(async (cause: unknown) => {
    if (!(cause instanceof MlflowError && cause.isNotFound)) throw cause;
    throw refused(`${name} has no version ${version}. ${await known()}`, cause);
  });
}
