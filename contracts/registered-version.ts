import { z } from 'zod';
import { modelSignature, type ServedModel, servedView } from './serving.ts';
import { task } from './spec/task.ts';

/** Tags of a registered version that say what is served. */
export const VERSION_TAGS = {
  key: 'perennial.key',
  /** The reference of its graph, as JSON: the digest that servers hold its bytes against. */
  onnx: 'perennial.onnx',
  /** What explains single predictions: `ServedModel.explanation`. */
  explanation: 'perennial.explanation',
  /** Its training rows, to compare new data with. */
  training: 'perennial.train',
  outcome: 'perennial.outcome',
} as const;

/** The graph in a version's model directory. */
export const ONNX_FILE = 'model.onnx';

/** The file in the model directory that tells a server what the graph's inputs and outputs are. */
export const SERVING_FILE = 'serving.json';

/** What {@link SERVING_FILE} holds. */
export const servingFile = z.object({
  signature: modelSignature,
  /** Inputs that the server looks up. */
  views: z.array(servedView).optional(),
  task,
  classNames: z.array(z.string()),
  positiveClass: z.string().nullable(),
  /** Binary: from which probability on the answer is the positive class; left out: 0.5. */
  threshold: z.number().optional(),
});
export type ServingFile = z.infer<typeof servingFile>;

/** A registered version as a server and a judge need it. */
export type LoadableModel = ServedModel & Omit<ServingFile, 'signature'>;
