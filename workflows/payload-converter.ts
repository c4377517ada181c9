import {
  BinaryPayloadConverter,
  CompositePayloadConverter,
  JsonPayloadConverter,
  type Payload,
  type SerializationContext,
  UndefinedPayloadConverter,
} from '@temporalio/common';

/** Stands for an argument that could not be decoded; no schema accepts it. */
export const UNDECODABLE = 'an argument that cannot be decoded: send JSON';

/**
 * The SDK's default converter, but for what people send to a workflow: an argument with an unknown encoding or
 * broken JSON would fail the workflow task on every try and wedge the run for ever. It becomes a text that the
 * handler's schema refuses. Results of activities are decoded as strictly as ever.
 */
class ForgivingPayloadConverter extends CompositePayloadConverter {
  override fromPayload<T>(payload: Payload, context?: SerializationContext): T {
    if (context?.type === 'activity') return super.fromPayload(payload, context);
    try {
      return super.fromPayload(payload, context);
    } catch {
      return super.fromPayload(super.toPayload(UNDECODABLE, context), context);
    }
  }
}

export const payloadConverter = new ForgivingPayloadConverter(
  new UndefinedPayloadConverter(),
  new BinaryPayloadConverter(),
  new JsonPayloadConverter(),
);
