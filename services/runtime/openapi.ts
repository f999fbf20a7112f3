import { type DescField, type DescMessage, type DescService, ScalarType } from '@bufbuild/protobuf';

export interface RestOperation {
  readonly method: 'get' | 'post';
  /** With `{name}` for path parameters. */
  readonly path: string;
  readonly service: DescService;
  /** Name of the RPC that it is. */
  readonly rpc: string;
  readonly summary: string;
  /** Request fields that come in the query. */
  readonly query?: readonly string[];
  readonly stream?: boolean;
}

type Schema = Readonly<Record<string, unknown>>;

/** OpenAPI 3.1 of REST operations that are RPCs: the schemas are the messages' own, so the document cannot drift. */
export function openApiOf(title: string, operations: readonly RestOperation[]): object {
  const schemas = new Map<string, Schema>();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { method, path, service, rpc, summary, query = [], stream } of operations) {
    const desc = service.methods.find(({ name }) => name === rpc);
    if (!desc) throw new Error(`${service.typeName} has no ${rpc}`);
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
    const fields = new Map(desc.input.fields.map((field) => [field.jsonName, field]));
    const ok = stream
      ? {
          description: 'Server-sent events; each carries one message',
          content: { 'text/event-stream': { schema: { type: 'string' } } },
        }
      : { description: 'Done', content: { 'application/json': { schema: reference(desc.output, schemas) } } };
    (paths[path] ??= {})[method] = {
      operationId: rpc.charAt(0).toLowerCase() + rpc.slice(1),
      summary,
      parameters: [
        ...inPath.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
        ...query.map((name) => {
          const field = fields.get(name);
          return {
            name,
            in: 'query',
            required: false,
            schema: field ? fieldSchema(field, schemas) : { type: 'string' },
          };
        }),
      ],
      ...(method === 'post' && {
        requestBody: { required: true, content: { 'application/json': { schema: reference(desc.input, schemas) } } },
      }),
      responses: {
        200: ok,
        default: {
          description: 'A problem (RFC 9457)',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    };
  }
  return {
    openapi: '3.1.0',
    info: { title, version: '1' },
    security: [{ person: [] }, { certificate: [] }],
    paths,
    components: {
      securitySchemes: {
        person: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        certificate: { type: 'mutualTLS' },
      },
      schemas: { Problem: problemSchema, ...Object.fromEntries([...schemas].sort(([a], [b]) => a.localeCompare(b))) },
    },
  };
}

const problemSchema: Schema = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    instance: { type: 'string' },
    problems: { type: 'array', items: {} },
  },
};

const wellKnown: Readonly<Record<string, Schema>> = {
  'google.protobuf.Timestamp': { type: 'string', format: 'date-time' },
  'google.protobuf.Duration': { type: 'string', pattern: '^-?\\d+(\\.\\d+)?s$' },
  'google.protobuf.Struct': { type: 'object' },
  'google.protobuf.Value': {},
};

function reference(message: DescMessage, schemas: Map<string, Schema>): Schema {
  const known = wellKnown[message.typeName];
  if (known) return known;
  const name = message.typeName.replace(/^aats\.\w+\.v1\./, '');
  if (!schemas.has(name)) {
    schemas.set(name, {}); // messages may refer to each other
    const properties = Object.fromEntries(message.fields.map((field) => [field.jsonName, fieldSchema(field, schemas)]));
    schemas.set(name, { type: 'object', properties, additionalProperties: false });
  }
  return { $ref: `#/components/schemas/${name}` };
}

function fieldSchema(field: DescField, schemas: Map<string, Schema>): Schema {
  switch (field.fieldKind) {
    case 'scalar':
      return scalar(field.scalar);
    case 'enum':
      return { type: 'string' };
    case 'message':
      return reference(field.message, schemas);
    case 'list':
      return {
        type: 'array',
        items:
          field.listKind === 'message'
            ? reference(field.message, schemas)
            : field.listKind === 'scalar'
              ? scalar(field.scalar)
              : { type: 'string' },
      };
    case 'map':
      return {
        type: 'object',
        additionalProperties:
          field.mapKind === 'message'
            ? reference(field.message, schemas)
            : field.mapKind === 'scalar'
              ? scalar(field.scalar)
              : { type: 'string' },
      };
  }
}

function scalar(type: ScalarType): Schema {
  switch (type) {
    case ScalarType.BOOL:
      return { type: 'boolean' };
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return { type: 'string' };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return { type: 'number' };
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return { type: 'string', pattern: '^-?\\d+$' }; // ProtoJSON
    default:
      return { type: 'integer' };
  }
}
