import type { ServedView } from '../../contracts/serving.ts';
import { STANDALONE_PORT } from '../../contracts/standalone.ts';
import { secretName } from './kubernetes.ts';
import type { CopiedRuntime } from './runtime.ts';

/** What the README tells. */
export interface ReadmeFacts {
  readonly name: string;
  readonly endpoint: string;
  readonly version: string;
  readonly sha256: string;
  readonly image: string;
  readonly perennial: string;
  /** `onnxruntime-node` of the lock. */
  readonly runtimeVersion: string;
  /** What was copied; `undefined` where nothing was. */
  readonly runtime: CopiedRuntime | undefined;
  readonly inputs: readonly { readonly name: string; readonly kind: string; readonly optional: boolean }[];
  readonly outputs: readonly { readonly name: string; readonly kind: string }[];
  readonly views: readonly Pick<ServedView, 'name' | 'entity' | 'columns' | 'unavailable'>[];
}

const URL = `http://127.0.0.1:${STANDALONE_PORT}`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

const start = ({ runtime, runtimeVersion }: ReadmeFacts): string =>
  runtime
    ? `\`\`\`sh
./start.sh
\`\`\`

(or \`npm start\`, or \`node server/server.js\`). Nothing is downloaded: ONNX Runtime ${runtime.version} for ${runtime.platform} lies in
\`node_modules\`. On another platform run \`npm ci\` in this folder first.`
    : `\`\`\`sh
npm ci       # once: onnxruntime-node ${runtimeVersion}, verified by package-lock.json
./start.sh
\`\`\`

(or \`npm start\`, or \`node server/server.js\`).`;

/** What becomes of inputs that the server of a platform looks up. */
const views = ({ views: all }: ReadmeFacts): string =>
  all.length === 0
    ? ''
    : `
## Features of views

This server has no feature store: requests bring these inputs themselves. A request that brings none of a view is answered as it is while a store is away.

| View | Inputs | Key | A row with the key alone |
| --- | --- | --- | --- |
${all.map(({ name, columns, entity, unavailable }) => `| ${cell(name)} | ${cell(columns.map(({ input }) => input).join(', '))} | ${cell(entity.join(', '))} | ${unavailable === 'refuse' ? 'is refused with 503' : 'gets medians of the training rows, and the header `perennial-features: default`'} |`).join('\n')}
`;

/** `README.md` of an export. */
export const readme = (facts: ReadmeFacts): string => `# ${facts.endpoint}, version ${facts.version}

A model and its server, exported by Perennial ${facts.perennial}. The folder needs nothing but Node.js 20.19 or later.

## Start

${start(facts)}

It listens on ${URL} and writes one line to standard output when it is ready.

## Ask

\`\`\`sh
# MLflow's scoring protocol
curl ${URL}/invocations -H 'content-type: application/json' -d @model/serving_input_example.json

# Open Inference Protocol (V2)
curl ${URL}/v2/models/${encodeURIComponent(facts.endpoint)}/infer -H 'content-type: application/json' -d @examples/v2-request.json

curl ${URL}/v2/health/ready
curl ${URL}/metrics
\`\`\`

The rows of both files are made up. With a token: \`-H "authorization: Bearer $PERENNIAL_SECRET_SERVER_TOKEN"\`.

| Input | Kind | May be missing |
| --- | --- | --- |
${facts.inputs.map(({ name, kind, optional }) => `| ${cell(name)} | ${kind} | ${optional ? 'yes' : 'no'} |`).join('\n')}

| Output | Kind |
| --- | --- |
${facts.outputs.map(({ name, kind }) => `| ${cell(name)} | ${kind} |`).join('\n')}

A date is ISO 8601 text or epoch seconds, and UTC where it names no offset. A missing value is \`null\`.
${views(facts)}
## Configure

| Variable | Default | |
| --- | --- | --- |
| \`PERENNIAL_SERVER_HOST\` | \`127.0.0.1\` | address to listen on; any that others can reach needs a token |
| \`PERENNIAL_SERVER_PORT\` | \`${STANDALONE_PORT}\` | \`0\`: any free port |
| \`PERENNIAL_SECRET_SERVER_TOKEN\` | | who predicts must send it as a bearer token; metadata and metrics ask for it as well, health does not |
| \`PERENNIAL_SERVER_ID\` | \`standalone\` | name of the server in its log |
| \`PERENNIAL_LOG_LEVEL\` | \`info\` | \`trace\`, \`debug\`, \`info\`, \`warn\`, \`error\`, \`fatal\`, \`silent\` |
| \`OTEL_EXPORTER_OTLP_ENDPOINT\` | | where traces of requests go (OTLP over HTTP); the other \`OTEL_…\` variables are those of OpenTelemetry |

What the server of a platform has and this one has not: new versions without a restart, challengers and shadows, the log
of predictions with feedback, explanations, several processes, several keys with roles and rates, TLS.

SIGTERM and SIGINT end it when the requests under way are answered. Put a TLS proxy in front of a server that is reached over a network.

## Verify

The server loads \`model/model.onnx\` only where its SHA-256 is the one in \`server.json\`:

\`\`\`
${facts.sha256}
\`\`\`

\`\`\`sh
sha256sum --check --quiet SHA256SUMS    # every file of this folder
\`\`\`

## Docker

\`\`\`sh
docker build --tag ${facts.image} .
docker run --rm --read-only --publish 127.0.0.1:${STANDALONE_PORT}:${STANDALONE_PORT} --env PERENNIAL_SECRET_SERVER_TOKEN ${facts.image}
\`\`\`

The image installs the runtime of its own platform from the npm registry (linux on x64 or arm64), with the digests of
\`package-lock.json\`. In the container the server listens on all addresses and does not start without a token.

## Kubernetes

\`\`\`sh
kubectl create secret generic ${secretName(facts.name)} --from-literal=token="$(openssl rand -hex 32)"
kubectl apply --kustomize kubernetes        # Deployment, Service, HorizontalPodAutoscaler, PodDisruptionBudget
\`\`\`

With KServe, instead: \`kubectl apply --filename kserve/inference-service.yaml\`. The server is a custom predictor that speaks
KServe's V2 protocol; the model's name in its paths is \`${facts.endpoint}\`. Both name the image \`${facts.image}\`: push it
to a registry that the cluster reads, and put that name in (\`perennial export --image\` writes it).

## MLflow

\`model/\` is an MLflow model: \`mlflow models serve --model-uri model\`, \`mlflow.pyfunc.load_model("model")\`.

## Licences

\`LICENSE\` is that of Perennial, \`THIRD-PARTY-LICENSES.txt\` those of the packages in \`server/\` and of ONNX Runtime. Neither is
about the model.
`;
