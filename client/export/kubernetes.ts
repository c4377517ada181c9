import { stringify } from 'yaml';
import { STANDALONE_PORT } from '../../contracts/standalone.ts';

/** What the manifests are of. */
export interface ManifestFacts {
  /** Name of the resources; see `resourceName`. */
  readonly name: string;
  readonly endpoint: string;
  readonly version: string;
  readonly sha256: string;
  /** Size of the graph. */
  readonly modelBytes: number;
  readonly image: string;
}

const MEBIBYTE = 1024 * 1024;
/** Node, the server and ONNX Runtime without a model, measured at 100 MiB, and room for requests. */
const SERVER_MIB = 256;
/** A tree model of 227 KB took fifteen times its file in memory; large ones were not measured. */
const MEMORY_PER_BYTE = 16;
const STEP_MIB = 64;

/** The key of the secret that holds the server's token. */
const SECRET_KEY = 'token';
export const secretName = (name: string): string => `${name}-token`;

const labelsOf = ({ name, version }: ManifestFacts): Record<string, string> => ({
  'app.kubernetes.io/name': name,
  'app.kubernetes.io/version': version,
  'app.kubernetes.io/component': 'model-server',
  'app.kubernetes.io/part-of': 'perennial',
});

const selectorOf = ({ name }: ManifestFacts): Record<string, string> => ({ 'app.kubernetes.io/name': name });

const modelAnnotations = ({ endpoint, version, sha256 }: ManifestFacts): Record<string, string> => ({
  'perennial/model': endpoint,
  'perennial/model-version': version,
  'perennial/model-sha256': sha256,
});

/** The container of the server, for a Deployment as for KServe. */
function container(facts: ManifestFacts, name: string, portName: string): Record<string, unknown> {
  const mebibytes =
    SERVER_MIB + Math.ceil((facts.modelBytes * MEMORY_PER_BYTE) / MEBIBYTE / STEP_MIB) * STEP_MIB;
  const probe = (path: string, more: Record<string, number>): Record<string, unknown> => ({
    httpGet: { path, port: STANDALONE_PORT },
    timeoutSeconds: 2,
    ...more,
  });
  return {
    name,
    image: facts.image,
    imagePullPolicy: 'IfNotPresent',
    ports: [{ name: portName, containerPort: STANDALONE_PORT, protocol: 'TCP' }],
    env: [
      {
        name: 'PERENNIAL_SECRET_SERVER_TOKEN',
        valueFrom: { secretKeyRef: { name: secretName(facts.name), key: SECRET_KEY } },
      },
    ],
    // No limit of CPU: it would stop the server in the middle of a request.
    resources: {
      requests: { cpu: '500m', memory: `${mebibytes}Mi` },
      limits: { memory: `${mebibytes * 2}Mi` },
    },
    readinessProbe: probe('/v2/health/ready', { periodSeconds: 5, failureThreshold: 2 }),
    livenessProbe: probe('/v2/health/live', {
      periodSeconds: 10,
      failureThreshold: 3,
      initialDelaySeconds: 10,
    }),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      runAsNonRoot: true,
      runAsUser: 1000,
      runAsGroup: 1000,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  };
}

/** The root file system is read only; Node and people's probes expect this folder. */
const TMP = { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } };

/** Seconds in which a pod gets no new requests any more before it is asked to stop, and then may answer the last. */
const DRAIN_SECONDS = 5;
const GRACE_SECONDS = 30;

function deployment(facts: ManifestFacts): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: facts.name, labels: labelsOf(facts), annotations: modelAnnotations(facts) },
    spec: {
      selector: { matchLabels: selectorOf(facts) },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
      template: {
        metadata: {
          labels: labelsOf(facts),
          // None for scraping: /metrics asks for the token, which annotations cannot carry.
          annotations: modelAnnotations(facts),
        },
        spec: {
          automountServiceAccountToken: false,
          terminationGracePeriodSeconds: GRACE_SECONDS,
          containers: [
            {
              ...container(facts, 'server', 'http'),
              lifecycle: { preStop: { exec: { command: ['sleep', String(DRAIN_SECONDS)] } } },
            },
          ],
          volumes: [TMP],
        },
      },
    },
  };
}

function service(facts: ManifestFacts): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: facts.name, labels: labelsOf(facts) },
    spec: {
      type: 'ClusterIP',
      selector: selectorOf(facts),
      ports: [{ name: 'http', port: 80, targetPort: 'http', protocol: 'TCP' }],
    },
  };
}

function autoscaler(facts: ManifestFacts): Record<string, unknown> {
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: facts.name, labels: labelsOf(facts) },
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: facts.name },
      minReplicas: 2,
      maxReplicas: 10,
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } },
        },
      ],
    },
  };
}

function disruptionBudget(facts: ManifestFacts): Record<string, unknown> {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: facts.name, labels: labelsOf(facts) },
    spec: { minAvailable: 1, selector: { matchLabels: selectorOf(facts) } },
  };
}

/**
 * KServe with the server as a custom predictor: it speaks KServe's V2 protocol itself. Knative, on which KServe may
 * run, takes no pod security context and no lifecycle hooks, and one port named `http1`.
 */
function inferenceService(facts: ManifestFacts): Record<string, unknown> {
  return {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: {
      name: facts.name,
      labels: labelsOf(facts),
      annotations: modelAnnotations(facts),
    },
    spec: {
      predictor: {
        minReplicas: 1,
        maxReplicas: 10,
        containers: [container(facts, 'kserve-container', 'http1')],
        volumes: [TMP],
      },
    },
  };
}

/** The manifests of an export, by their path in its folder. */
export function manifests(facts: ManifestFacts): Record<string, string> {
  const parts = {
    'deployment.yaml': deployment(facts),
    'horizontal-pod-autoscaler.yaml': autoscaler(facts),
    'pod-disruption-budget.yaml': disruptionBudget(facts),
    'service.yaml': service(facts),
  };
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: Object.keys(parts),
  };
  return Object.fromEntries(
    Object.entries({
      ...Object.fromEntries(Object.entries(parts).map(([file, part]) => [`kubernetes/${file}`, part])),
      'kubernetes/kustomization.yaml': kustomization,
      'kserve/inference-service.yaml': inferenceService(facts),
    }).map(([path, manifest]) => [path, stringify(manifest, { lineWidth: 0 })]),
  );
}
