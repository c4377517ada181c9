import { z } from 'zod';
import type { KnownKeys } from '../issues.ts';
import { pipelineSpec } from './pipeline.ts';

/** A JSON Schema of the pipeline spec as people write it, for editors. */
export function pipelineJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(pipelineSpec, { io: 'input', unrepresentable: 'any' });
  return { ...schema, title: 'Perennial pipeline spec' };
}

type Node = Record<string, unknown>;
const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The alternatives that a schema node stands for. */
const alternatives = (node: Node): Node[] => {
  const branches = [node.anyOf, node.oneOf, node.allOf].flatMap((list) =>
    Array.isArray(list) ? list.filter(isNode) : [],
  );
  return [node, ...branches.flatMap(alternatives)];
};

function step(nodes: Node[], part: PropertyKey): Node[] {
  return nodes.flatMap(alternatives).flatMap((node) => {
    const properties = isNode(node.properties) ? node.properties[String(part)] : undefined;
    const next = typeof part === 'number' ? node.items : (properties ?? node.additionalProperties);
    return isNode(next) ? [next] : [];
  });
}

/** The keys that a pipeline spec knows at a path, for "did you mean". */
export const pipelineKeys: KnownKeys = (path) => {
  const nodes = path.reduce<Node[]>(step, [pipelineJsonSchema()]).flatMap(alternatives);
  return [...new Set(nodes.flatMap((node) => (isNode(node.properties) ? Object.keys(node.properties) : [])))];
};
