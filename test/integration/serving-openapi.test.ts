import { afterEach, beforeEach, expect, it } from 'vitest';
import { AppFixture } from './serving-fixture.ts';

let fixture: AppFixture;
beforeEach(async () => {
  fixture = await AppFixture.create();
});
afterEach(() => fixture.close());

it('describes what is loaded', async () => {
  expect((await fixture.get('/openapi.json')).body).toMatchObject({ openapi: '3.1.0', paths: { '/v2': {} } });
  await fixture.serve();
  expect((await fixture.get('/openapi.json')).body).toMatchObject({
    paths: { '/invocations': { post: {} }, '/v2/models/churn/infer': { post: {} } },
    components: {
      schemas: {
        'churn.invocation': {
          properties: {
            dataframe_records: {
              maxItems: 10_000,
              items: {
                properties: { age: { type: 'number' } },
                required: ['age'],
                additionalProperties: false,
              },
            },
          },
        },
      },
    },
  });
});

it('shows a page that asks no other host', async () => {
  const page = await fixture.get('/docs');
  expect(page).toMatchObject({ status: 200, text: expect.stringContaining('docs/swagger-ui-bundle.js') });
  expect(page.text).not.toMatch(/https?:/);
  expect(page.headers['content-security-policy']).toContain("default-src 'none'");
  expect((await fixture.get('/docs/swagger-ui-bundle.js')).text).toContain('SwaggerUIBundle');
  expect((await fixture.get('/docs/swagger-ui.css')).status).toBe(200);
  expect((await fixture.get('/docs/start.js')).text).toContain('openapi.json');
});

it('shows the page without a token where there are keys; the document needs one', async () => {
  await fixture.close();
  fixture = await AppFixture.create({ token: 's3cret' });
  expect((await fixture.get('/openapi.json')).status).toBe(401);
  for (const path of ['/docs', '/docs/start.js', '/docs/swagger-ui.css', '/docs/swagger-ui-bundle.js'])
    expect([path, (await fixture.get(path)).status]).toEqual([path, 200]);
  const page = (await fixture.get('/docs')).text;
  // The policy forbids what stands in the page itself.
  expect(page).not.toMatch(/<script(?! src=)|<style| style=| on\w+=/);
  expect(page).toContain('type="password"');
  expect((await fixture.get('/docs/start.js')).text).toContain('preauthorizeApiKey');
});

it('lists the repository, and loads nothing by request', async () => {
  expect((await fixture.post('/v2/repository/index', {})).body).toEqual([]);
  await fixture.serve();
  const entry = { name: 'churn', version: '3', state: 'READY', reason: '' };
  expect((await fixture.post('/v2/repository/index', { ready: true })).body).toEqual([entry]);
  expect((await fixture.post('/v2/repository/index', { ready: 1 })).status).toBe(400);
  expect((await fixture.post('/v2/repository/models/churn/load', {})).status).toBe(400);
  expect((await fixture.get('/v2/models')).body).toEqual({ models: ['churn'] });
});
