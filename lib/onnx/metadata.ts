import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { featureKind } from '../../contracts/spec/features.ts';
import type { ModelProto } from './onnx_pb.ts';

/** Metadata key under which a graph tells names and kinds of its inputs, as JSON. */
export const INPUTS_METADATA = 'perennial.inputs';

const inputs = z.array(z.object({ name: z.string(), kind: featureKind }));
export type InputKinds = z.infer<typeof inputs>;

/**
 * Names and kinds of a preprocessing graph's inputs. ONNX types alone do not tell a boolean from a number.
 *
 * @throws PerennialError `ModelInvalid` where the graph does not tell them
 */
export function inputKinds(model: ModelProto): InputKinds {
  const text = model.metadataProps.find(({ key }) => key === INPUTS_METADATA)?.value;
  try {
    return inputs.parse(JSON.parse(text ?? ''));
  } catch (cause) {
    throw new PerennialError(
      'ModelInvalid',
      `The preprocessing graph does not tell its inputs (metadata "${INPUTS_METADATA}"): build it with preprocessGraph().`,
      false,
      { cause },
    );
  }
}
