import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { RequestError } from '../request-error.ts';

/** Swagger UI and nothing else may run in the page; it may ask this server only. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Perennial model server</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<form id="token" class="swagger-ui wrapper" hidden>
<p id="why"></p>
<label for="key">Token</label>
<input id="key" type="password" autocomplete="off" required>
<button class="btn" type="submit">Show</button>
</form>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

/** The document takes a token where there are keys: the page asks for it, and its requests then carry it as well. */
const START = `const form = document.getElementById('token');
const key = document.getElementById('key');
const why = document.getElementById('why');

async function show(token) {
  const bearer = token ? { authorization: 'Bearer ' + token } : {};
  const answer = await fetch('openapi.json', { headers: bearer });
  form.hidden = answer.ok;
  if (!answer.ok) {
    if (answer.status !== 401) why.textContent = (await answer.json()).error;
    else if (token) why.textContent = 'The server does not know this token.';
    else
      why.textContent =
        'This server asks for a token: an API key with the role predict, or a JSON Web Token. It is kept in this page alone.';
    key.focus();
    return;
  }
  const ui = SwaggerUIBundle({
    url: 'openapi.json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    requestInterceptor: (request) => {
      if (request.loadSpec) Object.assign(request.headers, bearer);
      return request;
    },
    // What the button Authorize would do.
    onComplete: () => token && ui.preauthorizeApiKey('bearer', token),
  });
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  show(key.value.trim());
});
show('');
`;

/** The page's files out of the package. */
const ASSETS = { 'swagger-ui.css': 'text/css', 'swagger-ui-bundle.js': 'text/javascript' } as const;

/** `GET /docs`: the OpenAPI document for people. The page itself holds nothing of the server, and needs no token. */
export function registerDocsPage(app: FastifyInstance): void {
  const page = (body: string | Buffer, type: string) => ({
    body,
    headers: {
      'content-type': `${type}; charset=utf-8`,
      'content-security-policy': PAGE_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
  });
  app.get('/docs', (_request, reply) => {
    const { body, headers } = page(PAGE, 'text/html');
    return reply.headers(headers).send(body);
  });
  app.get('/docs/start.js', (_request, reply) => {
    const { body, headers } = page(START, 'text/javascript');
    return reply.headers(headers).send(body);
  });
  for (const [name, type] of Object.entries(ASSETS))
    app.get(`/docs/${name}`, async (_request, reply) => {
      // Read anew each time: the page is looked at rarely, and two megabytes are not kept for it.
      const { body, headers } = page(await readFile(join(assetFolder(), name)), type);
      return reply.headers({ ...headers, 'cache-control': 'max-age=86400' }).send(body);
    });
}

function assetFolder(): string {
  try {
    return join(
      dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui/package.json')),
      'static',
    );
  } catch {
    throw new RequestError(
      404,
      'the package @fastify/swagger-ui is not installed; read /openapi.json instead',
    );
  }
}
