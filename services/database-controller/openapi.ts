const json = (schema: object): object => ({ 'application/json': { schema } });
const problem = {
  description: 'What went wrong (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
};
const failures = (...codes: readonly number[]): Record<string, object> =>
  Object.fromEntries(codes.map((code) => [String(code), problem]));
const inPath = (name: string, description: string): object => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string' },
});
const graph = { 200: { description: 'The graph', content: json({ $ref: '#/components/schemas/Graph' }) } };
const texts = { type: 'object', additionalProperties: { type: 'string' } };

/** The REST side of the database controller, as served at /openapi.json. */
export const openapi = {
  openapi: '3.1.0',
  info: { title: 'AATS database controller', version: '1', description: 'Health of stores, artifacts, lineage' },
  security: [{ token: [] }, { certificate: [] }],
  paths: {
    '/v1/stores': {
      get: {
        operationId: 'getStoreHealth',
        summary: 'Every store, by a real operation on each',
        responses: {
          200: {
            description: 'One entry a store',
            content: json({
              type: 'object',
              required: ['stores'],
              properties: { stores: { type: 'array', items: { $ref: '#/components/schemas/Store' } } },
            }),
          },
          ...failures(400, 401, 403),
        },
      },
    },
    '/v1/artifacts/{artifact}': {
      get: {
        operationId: 'getArtifact',
        summary: 'A document; the connection breaks off when its digest is not right',
        parameters: [inPath('artifact', 'sha256:<64 hex digits>')],
        responses: {
          200: { description: 'The bytes', content: { '*/*': { schema: { type: 'string', format: 'binary' } } } },
          304: { description: 'The client has it; a content never changes' },
          ...failures(400, 401, 403, 404, 503),
        },
      },
    },
    '/v1/lineage/artifacts/{artifact}': {
      get: {
        operationId: 'getArtifactLineage',
        summary: 'What an artifact came from, and what came from it',
        parameters: [
          inPath('artifact', 'sha256:<64 hex digits>'),
          { name: 'depth', in: 'query', schema: { type: 'integer', minimum: 1, maximum: 20, default: 5 } },
        ],
        responses: { ...graph, ...failures(400, 401, 403, 404, 503) },
      },
    },
    '/v1/lineage/plans/{planId}': {
      get: {
        operationId: 'getPlanLineage',
        summary: 'Tasks, attempts, agents and artifacts of a plan',
        parameters: [inPath('planId', 'Id of the plan')],
        responses: { ...graph, ...failures(400, 401, 403, 404, 503) },
      },
    },
  },
  components: {
    securitySchemes: {
      token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      certificate: { type: 'mutualTLS' },
    },
    schemas: {
      Store: {
        type: 'object',
        required: ['name', 'healthy', 'milliseconds'],
        properties: {
          name: { enum: ['postgresql', 'mongodb', 'neo4j', 'redis'] },
          healthy: { type: 'boolean' },
          milliseconds: { type: 'number' },
          problem: { type: 'string' },
        },
      },
      Graph: {
        type: 'object',
        required: ['nodes', 'edges'],
        properties: {
          nodes: {
            type: 'array',
            items: {
              type: 'object',
              required: ['kind', 'id', 'properties'],
              properties: {
                kind: { enum: ['plan', 'task', 'attempt', 'agent', 'artifact'] },
                id: { type: 'string' },
                properties: texts,
              },
            },
          },
          edges: {
            type: 'array',
            items: {
              type: 'object',
              required: ['from', 'kind', 'to'],
              properties: {
                from: { type: 'string' },
                kind: { enum: ['part-of', 'needs', 'attempted', 'by', 'produced', 'used', 'derived-from'] },
                to: { type: 'string' },
              },
            },
          },
        },
      },
      Problem: {
        type: 'object',
        required: ['type', 'title', 'status', 'detail'],
        properties: {
          type: { type: 'string' },
          title: { type: 'string' },
          status: { type: 'integer' },
          detail: { type: 'string' },
          instance: { type: 'string' },
          problems: { type: 'array' },
        },
      },
    },
  },
} as const;
