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

/** One output of a served model: `label`, `probability`, `probability_<class>` or `prediction`. */
export const modelOutput = z.strictObject({ name: z.string(), kind: z.enum(['float', 'string']) });
export type ModelOutput = z.infer<typeof modelOutput>;

/** Names, kinds and order of a model's inputs and outputs. */
export const modelSignature = z.strictObject({ inputs: z.array(modelInput), outputs: z.array(modelOutput) });
export type ModelSignature = z.infer<typeof modelSignature>;

/** What a server needs to serve one version: loaded only where its bytes have this digest. */
export const servedModel = z.strictObject({
  /** The MLflow version. */
  version: z.string(),
  /** The composed ONNX graph in the artifact store. */
  onnx: artifactRef,
  signature: modelSignature,
});
export type ServedModel = z.infer<typeof servedModel>;

/** Which versions answer an endpoint's requests. `weight`s add up to 100. */
export const route = z.strictObject({ model: servedModel, weight: z.number().min(0).max(100) });

/**
 * The traffic table of one endpoint. A server applies a table only where its `generation` is at least as high
 * as the one it has.
 */
export const routeTable = z.strictObject({
  endpoint: z.string().min(1).max(100),
  generation: z.number().int().nonnegative(),
  routes: z.array(route),
});
export type RouteTable = z.infer<typeof routeTable>;

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
