import { z } from 'zod';
import { artifactRef } from './refs.ts';
import { featureKind } from './spec/features.ts';

/** How one input column of a served model is typed, in the words of the MLflow signature. */
export const modelInput = z.strictObject({
  name: z.string(),
  /** `numeric` and `boolean` feed a float32, `datetime` a double (epoch seconds, UTC), `categorical` and `text` a string tensor. */
  kind: featureKind,
  /** Whether a missing value is accepted (`null`, or the key left out). */
  optional: z.boolean(),
});
export type ModelInput = z.infer<typeof modelInput>;

/** Whether an input is a string tensor. */
export const isTextInput = (kind: ModelInput['kind']): boolean => kind === 'categorical' || kind === 'text';

/** Whether an input is a float32 tensor; all of those may be given as one block. */
export const isNumberInput = (kind: ModelInput['kind']): boolean => kind === 'numeric' || kind === 'boolean';

/** One output of a served model: `label`, `probability`, `probability_<class>` or `prediction`. */
export const modelOutput = z.strictObject({ name: z.string(), kind: z.enum(['float', 'string']) });
export type ModelOutput = z.infer<typeof modelOutput>;

/** Names, kinds and order of a model's inputs and outputs. */
export const modelSignature = z.strictObject({ inputs: z.array(modelInput), outputs: z.array(modelOutput) });
export type ModelSignature = z.infer<typeof modelSignature>;

/** The aggregates of feature views, in the words of SQL. */
export const AGGREGATES = [
  'count',
  'sum',
  'avg',
  'min',
  'max',
  'stddev_samp',
  'stddev_pop',
  'var_samp',
  'var_pop',
  'last',
] as const;
export const aggregate = z.enum(AGGREGATES);
export type Aggregate = z.infer<typeof aggregate>;

/** The identity of what a column of a view is: the same where its values are. Earlier versions have none. */
export const columnDefinition = z.string().optional();

/** Inputs of a model that the server looks up in the online store, by columns that the request has. */
export const servedView = z.strictObject({
  /** As the spec has it. */
  name: z.string(),
  /** What the online store knows it by: the same for the same definition in the same pipeline. */
  store: z.string(),
  /** The columns of a request that say whose features are wanted. */
  entity: z.array(z.string()).min(1),
  /** How many values an event has. */
  values: z.number().int().positive(),
  columns: z
    .array(
      z.strictObject({
        /** The model's input. */
        input: z.string(),
        aggregate,
        /** The place of the value that is aggregated, among those of an event. */
        value: z.number().int().nonnegative(),
        /** Microseconds that are looked back. */
        window: z.number().int().positive(),
        /** What stands in where the store cannot be asked: fitted on the training rows; `null`: missing. */
        default: z.number().nullable(),
        definition: columnDefinition,
      }),
    )
    .min(1),
  /** Milliseconds for which materialised values may be used; `null`: for ever. */
  ttlMs: z.number().int().positive().nullable(),
  /** What happens to a request while the store cannot be asked. */
  unavailable: z.enum(['default', 'refuse']),
});
export type ServedView = z.infer<typeof servedView>;

/** What a server needs to serve one version: loaded only where its bytes have this digest. */
export const servedModel = z.strictObject({
  /** The MLflow version. */
  version: z.string(),
  /** The composed ONNX graph in the artifact store. */
  onnx: artifactRef,
  signature: modelSignature,
  /** The inputs that requests need not have, since the server looks them up. */
  views: z.array(servedView).optional(),
  /** What explains single predictions: rows that stand for what is usual, and the covers of a tree model. */
  explanation: z.strictObject({ samples: artifactRef, explainer: artifactRef.optional() }).optional(),
});
export type ServedModel = z.infer<typeof servedModel>;

/**
 * The signature as rows have to fit it: what is looked up by a key may be missing, since a row without the key has
 * nothing of it.
 */
export function requestSignature({
  signature,
  views = [],
}: Pick<ServedModel, 'signature' | 'views'>): ModelSignature {
  const looked = new Set(views.flatMap(({ columns }) => columns.map(({ input }) => input)));
  return {
    ...signature,
    inputs: signature.inputs.map((input) => (looked.has(input.name) ? { ...input, optional: true } : input)),
  };
}

/**
 * `champion` answers, and stands in for a challenger that cannot; `challenger` answers its share, in a process of its
 * own; `shadow` gets copies of requests and answers nobody.
 */
export const routeRole = z.enum(['champion', 'challenger', 'shadow']);
export type RouteRole = z.infer<typeof routeRole>;

/**
 * One version and its share. The weights of champion and challengers add up to 100; a shadow's is the percentage of
 * requests that it gets a copy of.
 */
export const route = z.strictObject({
  model: servedModel,
  weight: z.number().min(0).max(100),
  role: routeRole.default('champion'),
});
export type Route = z.infer<typeof route>;

/** Requests with this header value go to this version, whatever the weights say. */
export const headerRoute = z.strictObject({
  /** In small letters. */
  header: z
    .string()
    .regex(/^[a-z0-9-]{1,100}$/)
    .refine((name) => name !== 'authorization', 'credentials do not choose a version'),
  value: z.string().min(1).max(200),
  version: z.string(),
});
export type HeaderRoute = z.infer<typeof headerRoute>;

/** What of an endpoint's answers is put on record. */
export const predictionLogPolicy = z.strictObject({
  /** Share of the requests, 0 to 1. By the moment of its arrival, so that both halves of a comparison agree. */
  sample: z.number().min(0).max(1).default(1),
  /** Whether the features are recorded beside the outputs. */
  features: z.boolean().default(true),
});
export type PredictionLogPolicy = z.infer<typeof predictionLogPolicy>;

/** How an endpoint treats requests, whichever versions answer them. */
export const servingPolicy = z.strictObject({
  /** Whether requests of the same entity keep going to the same version while the weights stay or grow. */
  sticky: z.boolean().default(false),
  /** The input column that holds the entity's key, where neither header nor parameter tells it. */
  entityColumn: z.string().optional(),
  /** Milliseconds in which a request is answered, or refused with 503; a challenger gets half of them. */
  deadlineMs: z.number().int().min(1).max(600_000).default(10_000),
  log: predictionLogPolicy.prefault({}),
});
export type ServingPolicy = z.infer<typeof servingPolicy>;

/** Key columns that an endpoint remembers; those that came last. */
export const MAX_KEY_COLUMNS = 50;

/**
 * The traffic table of one endpoint. A server applies a table only where its `generation` is at least as high
 * as the one it has.
 */
export const routeTable = z.strictObject({
  endpoint: z.string().min(1).max(100),
  generation: z.number().int().nonnegative(),
  /** At most one champion; none at all withdraw the endpoint. */
  routes: z.array(route),
  /**
   * Columns by which versions that had traffic before looked features up: clients go on sending them. Those of the
   * table's own versions need not stand here.
   */
  keyColumns: z.array(z.string()).max(MAX_KEY_COLUMNS).optional(),
  headerRoutes: z.array(headerRoute).max(100).default([]),
  ...servingPolicy.shape,
});
export type RouteTable = z.infer<typeof routeTable>;
/** A table as people and workflows write it, defaults left out. */
export type RouteTableInput = z.input<typeof routeTable>;

/** The columns by which a version looks features up, each once. */
export const entityColumns = ({ views }: Pick<ServedModel, 'views'>): string[] => [
  ...new Set((views ?? []).flatMap(({ entity }) => entity)),
];

/** Why a request went where it went. */
export const routeReason = z.enum(['sole', 'weight', 'entity', 'header', 'version', 'fallback', 'shadow']);
export type RouteReason = z.infer<typeof routeReason>;

/**
 * How a version failed. `features`: the online store could not be asked, and a view of the version refuses requests then;
 * nothing is known to be wrong with the version itself.
 */
export const incidentKind = z.enum([
  'crash',
  'deadline',
  'invalid-output',
  'refused-input',
  'error',
  'overload',
  'features',
]);
export type IncidentKind = z.infer<typeof incidentKind>;

/** What a server tells the endpoint about a version that fails beside the champion; counts since the last telling. */
export const challengerIncident = z.strictObject({
  serverId: z.string().max(200),
  endpoint: z.string().min(1).max(100),
  generation: z.number().int().nonnegative(),
  version: z.string(),
  role: routeRole,
  kind: incidentKind,
  count: z.number().int().positive(),
  /** In words, without a value out of a request. */
  reason: z.string().max(500),
});
export type ChallengerIncident = z.infer<typeof challengerIncident>;

/** A server's answer to a table: the generation and the versions in force afterwards. */
export const routeAck = z.strictObject({
  serverId: z.string(),
  endpoint: z.string(),
  generation: z.number().int().nonnegative(),
  versions: z.array(z.string()),
});
export type RouteAck = z.infer<typeof routeAck>;

/** One live model server. */
export const modelServerInfo = z.strictObject({ serverId: z.string(), url: z.url(), taskQueue: z.string() });
export type ModelServerInfo = z.infer<typeof modelServerInfo>;

/** The file that keeps a server's routes over restarts. */
export const routesFileContent = z.strictObject({ formatVersion: z.literal(1), tables: z.array(routeTable) });
