import { STANDALONE_PORT } from '../../contracts/standalone.ts';

/** What of an export the image gets; everything else stays out of the build, whatever people put beside it. */
const IN_IMAGE = [
  'LICENSE',
  'THIRD-PARTY-LICENSES.txt',
  'model',
  'package-lock.json',
  'package.json',
  'routes.json',
  'server',
  'server.json',
];

/** `.dockerignore` of an export: an allow-list. The image installs its own platform's runtime. */
export const dockerignore = (): string => `*\n${IN_IMAGE.map((name) => `!${name}`).join('\n')}\n`;

/** The base image: a tag, since no digest is right for every platform and day. */
const BASE = 'node:22-bookworm-slim';

const NATIVE = 'node_modules/onnxruntime-node';

const LIVE = [
  "fetch('http://127.0.0.1:' + (process.env.PERENNIAL_SERVER_PORT || 8080) + '/v2/health/live')",
  '.then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))',
].join('');

/**
 * The Dockerfile of an export. The image has a user without rights and nothing that must be written to, so that it
 * runs on a read-only file system. It listens on all addresses and therefore refuses to start without a token.
 */
export const dockerfile =
  (): string => `# The base image is named by its tag. To build the same image later, name its digest:
#   docker buildx imagetools inspect ${BASE}
FROM ${BASE} AS runtime
WORKDIR /app
COPY package.json package-lock.json ./
# Scripts stay off: that of onnxruntime-node would download CUDA. It ships the libraries of all platforms; one stays.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \\
  && mv "${NATIVE}/bin/napi-v6/linux/$(node -p process.arch)" /library \\
  && rm -r ${NATIVE}/bin \\
  && mkdir -p ${NATIVE}/bin/napi-v6/linux \\
  && mv /library "${NATIVE}/bin/napi-v6/linux/$(node -p process.arch)"

FROM ${BASE}
ENV NODE_ENV=production \\
    PERENNIAL_SERVER_HOST=0.0.0.0 \\
    PERENNIAL_SERVER_PORT=${STANDALONE_PORT}
WORKDIR /app
COPY --from=runtime /app/${NATIVE} ./${NATIVE}
COPY --from=runtime /app/node_modules/onnxruntime-common ./node_modules/onnxruntime-common
COPY package.json server.json routes.json LICENSE THIRD-PARTY-LICENSES.txt ./
COPY server ./server
COPY model ./model
# The user "node" of the base image, by its number: Kubernetes cannot tell that a name is not root.
USER 1000:1000
EXPOSE ${STANDALONE_PORT}
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \\
  CMD ["node", "-e", ${JSON.stringify(LIVE)}]
CMD ["node", "server/server.js"]
`;

/** `start.sh`: the one command, with nothing but Node and the shell's own words. */
export const startScript = (): string => `#!/bin/sh
# Starts the model server of this folder on http://127.0.0.1:${STANDALONE_PORT}; README.md says how to configure it.
set -eu
case $0 in
  */*) folder=\${0%/*} ;;
  *) folder=. ;;
esac
if ! command -v node >/dev/null; then
  echo 'error: Node.js 20.19 or later is needed: https://nodejs.org' >&2
  exit 2
fi
exec node "$folder/server/server.js" "$@"
`;

/** npm's settings in an export: the runtime's install script would download CUDA. */
export const npmrc = (): string => 'ignore-scripts=true\nomit=dev\n';
