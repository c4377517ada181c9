import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { v2Request } from '../../client/export/example-request.ts';
import { manifests } from '../../client/export/kubernetes.ts';
import { imageName, resourceName } from '../../client/export/names.ts';
import { settingsFromEnv } from '../../serving/standalone/settings.ts';

describe('names', () => {
  it.each([
    ['flights-delay', /^flights-delay$/],
    ['a'.repeat(50), /^a{50}$/],
    ['2024', /^model-2024-[0-9a-f]{8}$/],
    ['late-', /^late-[0-9a-f]{8}$/],
    ['a'.repeat(63), /^a{41}-[0-9a-f]{8}$/],
    [`${'a'.repeat(40)}-${'b'.repeat(20)}`, /^a{40}-[0-9a-f]{8}$/],
    ['Churn', /^churn-[0-9a-f]{8}$/],
    ['my_model', /^my-model-[0-9a-f]{8}$/],
    ['my model', /^my-model-[0-9a-f]{8}$/],
    ['Ümlaut', /^model-mlaut-[0-9a-f]{8}$/],
    ['模型', /^model-[0-9a-f]{8}$/],
  ])('of resources: %s', (endpoint, name) => {
    expect(resourceName(endpoint)).toMatch(name);
    expect(resourceName(endpoint)).toMatch(/^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$/);
    expect(imageName(imageName(undefined, endpoint, '3'), endpoint, '3')).toMatch(/:3$/);
  });

  it('of resources differ where those of the models do', () => {
    const names = [
      'my model',
      'my_model',
      'my-model',
      'My-model',
      `${'a'.repeat(60)}1`,
      `${'a'.repeat(60)}2`,
    ];
    expect(new Set(names.map(resourceName)).size).toBe(names.length);
  });

  it.each([
    'churn',
    'churn:3',
    'registry.example.org:5000/models/churn:v3.1_rc',
    `ghcr.io/acme/churn@sha256:${'a'.repeat(64)}`,
  ])('of images: %s', (name) => {
    expect(imageName(name, 'churn', '3')).toBe(name);
  });

  it('of an image by default', () => {
    expect(imageName(undefined, 'churn', '3')).toBe('churn:3');
  });

  it.each(['', 'Churn', 'a b', 'a:', '-a', 'a:3:4x!', `a${'b'.repeat(300)}`, 'a\nRUN x'])(
    'no image: %j',
    (name) => {
      expect(() => imageName(name, 'churn', '3')).toThrow('--image is not the name of an image');
    },
  );
});

describe('settings', () => {
  it('have defaults that only this machine can reach', () => {
    expect(settingsFromEnv({ PERENNIAL_SERVER_HOST: '', PERENNIAL_SERVER_PORT: ' ' })).toEqual({
      serverId: 'standalone',
      host: '127.0.0.1',
      port: 8080,
      token: undefined,
      logLevel: 'info',
    });
  });

  it.each(['0.0.0.0', '::', '10.0.0.1', 'example.org'])('want a token on %s', (host) => {
    expect(() => settingsFromEnv({ PERENNIAL_SERVER_HOST: host })).toThrow('PERENNIAL_SECRET_SERVER_TOKEN');
    const settings = settingsFromEnv({ PERENNIAL_SERVER_HOST: host, PERENNIAL_SECRET_SERVER_TOKEN: 't' });
    expect(settings).toMatchObject({ host, token: 't' });
  });

  it.each(['-1', '65536', '80a', '8080.5', '1e3'])('refuse the port %s', (port) => {
    expect(() => settingsFromEnv({ PERENNIAL_SERVER_PORT: port })).toThrow(
      `PERENNIAL_SERVER_PORT is ${port}`,
    );
  });
});

describe('manifests', () => {
  const facts = {
    name: 'churn',
    endpoint: 'churn',
    version: '3',
    sha256: 'a'.repeat(64),
    modelBytes: 0,
    image: 'churn:3',
  };
  const container = z.object({
    resources: z.object({
      requests: z.looseObject({ memory: z.string() }),
      limits: z.looseObject({ memory: z.string() }),
    }),
    securityContext: z.looseObject({}),
    env: z.array(z.looseObject({})),
  });
  const deployment = (modelBytes: number) =>
    z
      .object({
        spec: z.object({
          template: z.object({ spec: z.object({ containers: z.tuple([container]) }) }),
        }),
      })
      .parse(parse(manifests({ ...facts, modelBytes })['kubernetes/deployment.yaml'] ?? '')).spec.template
      .spec.containers[0];

  it('ask for memory by the size of the graph', () => {
    expect(deployment(1_000).resources).toEqual({
      requests: { cpu: '500m', memory: '320Mi' },
      limits: { memory: '640Mi' },
    });
    expect(deployment(100 * 1024 * 1024).resources.requests.memory).toBe('1856Mi');
  });

  it('give a container no rights and no secret but by reference', () => {
    const { securityContext, env } = deployment(0);
    expect(securityContext).toMatchObject({
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    });
    expect(env).toEqual([
      {
        name: 'PERENNIAL_SECRET_SERVER_TOKEN',
        valueFrom: { secretKeyRef: { name: 'churn-token', key: 'token' } },
      },
    ]);
  });

  it('name the version as text: a number would be refused', () => {
    for (const text of Object.values(manifests(facts))) expect(text).not.toMatch(/version: 3$/m);
  });
});

describe('the example of the Open Inference Protocol', () => {
  it('has a tensor for each input, in the order of the signature', () => {
    const signature = {
      inputs: [
        { name: 'age', kind: 'numeric' as const, optional: true },
        { name: 'city', kind: 'categorical' as const, optional: true },
        { name: 'active', kind: 'boolean' as const, optional: true },
        { name: 'joined', kind: 'datetime' as const, optional: true },
      ],
      outputs: [],
    };
    const example = {
      columns: ['joined', 'active', 'city', 'age'],
      data: [
        [1_767_225_600, 1, 'Ulm', 41.5],
        [null, null, null, null],
      ],
    };
    expect(v2Request(signature, example)).toEqual({
      inputs: [
        { name: 'age', shape: [2], datatype: 'FP32', data: [41.5, null] },
        { name: 'city', shape: [2], datatype: 'BYTES', data: ['Ulm', null] },
        { name: 'active', shape: [2], datatype: 'BOOL', data: [true, null] },
        { name: 'joined', shape: [2], datatype: 'FP64', data: [1_767_225_600, null] },
      ],
    });
  });
});
