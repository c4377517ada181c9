import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type proto from '@temporalio/proto';

type History = proto.temporal.api.history.v1.IHistory;

interface ProtoJson {
  fromJson(type: unknown, json: unknown, options: { ignoreUnknownFields: boolean }): History;
}
interface ProtoRoot {
  lookupType(name: string): unknown;
}

const require = createRequire(import.meta.url);
// The SDK's own reader fails where npm gives `@temporalio/common` and `@temporalio/proto` a copy of protobufjs each:
// a type of the one is none to the other. This takes the copy that made the types.
const requireOfProto = createRequire(require.resolve('@temporalio/proto'));
const { fromJson }: ProtoJson = requireOfProto('protobufjs/ext/protojson');
const {
  patchProtobufRoot,
}: { patchProtobufRoot(root: unknown): ProtoRoot } = require('@temporalio/proto/lib/patch-protobuf-root');
const historyType = patchProtobufRoot(require('@temporalio/proto')).lookupType(
  'temporal.api.history.v1.History',
);

/** A recorded history: its text, and what a worker replays. */
export interface HistoryFile {
  text: string;
  history: History;
  workflowId: string;
}

/** Reads what `temporal workflow show --output json` wrote. */
export function readHistory(path: string): HistoryFile {
  const text = readFileSync(path, 'utf8');
  const history = fromJson(historyType, JSON.parse(text), { ignoreUnknownFields: true });
  const workflowId = history.events?.[0]?.workflowExecutionStartedEventAttributes?.workflowId;
  if (!workflowId) throw new Error(`${path} is not the history of a workflow`);
  return { text, history, workflowId };
}
