import type { Client } from '@temporalio/client';
import { z } from 'zod';
import { PerennialError } from '../contracts/errors.ts';
import { attribution, attributionMethod, attributionUnit } from '../contracts/explanation.ts';
import { type FeedbackAnswer, type feedback, feedbackAnswer } from '../contracts/feedback.ts';
import { WORKFLOW_TYPES } from '../contracts/names.ts';
import { type ModelServerInfo, modelServerInfo } from '../contracts/serving.ts';

/** The model servers that hold a lease. */
export async function liveServers(client: Client): Promise<ModelServerInfo[]> {
  const servers: ModelServerInfo[] = [];
  for await (const workflow of client.workflow.list({
    query: `WorkflowType = '${WORKFLOW_TYPES.modelServer}' AND ExecutionStatus = 'Running'`,
  })) {
    const info = modelServerInfo.safeParse(workflow.memo?.server);
    if (info.success) servers.push(info.data);
  }
  return servers;
}

/** The longest that a prediction may take; a full request of 10,000 rows takes well below a second. */
const ANSWER_TIMEOUT_MS = 60_000;

/** Headers that say more of a call. */
export interface CallHeaders {
  /** Truth names it later. */
  'x-request-id'?: string;
  /** Recorded traffic: when it happened, ISO 8601. */
  'perennial-time'?: string;
}

/** What the model server answered. */
export interface PredictionAnswer {
  server: string;
  version: string | null;
  predictions: unknown;
}

/**
 * Sends rows to an endpoint by MLflow's scoring protocol.
 *
 * @param body for example `{ dataframe_records: [{ … }] }`
 * @param token of the model server; default `PERENNIAL_SECRET_SERVER_TOKEN`
 * @param headers for example the request's id
 * @throws PerennialError `ServerUnavailable`, `InputInvalid` with the server's own words
 */
export async function predict(
  url: string,
  endpoint: string,
  body: unknown,
  token?: string,
  headers: CallHeaders = {},
): Promise<PredictionAnswer> {
  const path = `/endpoints/${encodeURIComponent(endpoint)}/invocations`;
  const { answer, headers: said } = await post({ url, path, endpoint }, body, token, headers);
  const predictions =
    typeof answer === 'object' && answer !== null && 'predictions' in answer ? answer.predictions : answer;
  const version = said.get('perennial-model-version');
  return { server: url, version: version === null ? null : decodeURIComponent(version), predictions };
}

const explanationAnswer = z.object({
  model_version: z.string(),
  predictions: z.array(z.record(z.string(), z.unknown())),
  confidence: z.number(),
  explanations: z.array(
    z.object({ method: attributionMethod, unit: attributionUnit, attributions: z.array(attribution) }),
  ),
});
/** What the model server answered: for each row, what its columns contributed to each output. */
export type ExplanationAnswer = z.infer<typeof explanationAnswer>;

/** Asks an endpoint's champion why it answers so; arguments and errors as of {@link predict}. */
export const explainRows = async (
  url: string,
  endpoint: string,
  body: unknown,
  token?: string,
): Promise<ExplanationAnswer> =>
  explanationAnswer.parse(
    (await post({ url, path: `/endpoints/${encodeURIComponent(endpoint)}/explain`, endpoint }, body, token))
      .answer,
  );

/**
 * Tells a server what turned out to be true; arguments and errors as of {@link predict}.
 *
 * @param truths at most 10,000
 */
export async function tellTruth(
  url: string,
  endpoint: string,
  truths: readonly z.input<typeof feedback>[],
  token?: string,
  headers: CallHeaders = {},
): Promise<FeedbackAnswer> {
  const path = `/v1/endpoints/${encodeURIComponent(endpoint)}/feedback`;
  return feedbackAnswer.parse((await post({ url, path, endpoint }, truths, token, headers)).answer);
}

async function post(
  { url, path, endpoint }: { url: string; path: string; endpoint: string },
  body: unknown,
  token = process.env.PERENNIAL_SECRET_SERVER_TOKEN,
  headers: CallHeaders = {},
): Promise<{ answer: unknown; headers: Headers }> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
  }).catch((cause: unknown) => {
    throw new PerennialError(
      'ServerUnavailable',
      `the model server at ${url} does not answer; look at \`perennial status\``,
      true,
      { cause },
    );
  });
  const text = await response.text();
  if (!response.ok)
    throw new PerennialError(
      'InputInvalid',
      `endpoint ${endpoint}: the model server answered ${response.status}: ${wordsOf(text)}`,
    );
  return { answer: JSON.parse(text), headers: response.headers };
}

const errorBody = z.object({ message: z.string() });

/** What an error body says to a person; where it is something else than ours, its beginning. */
function wordsOf(text: string): string {
  try {
    return errorBody.parse(JSON.parse(text)).message;
  } catch {
    return text.slice(0, 1_000);
  }
}
