import { type DescField, type DescMessage, type DescService, type JsonValue, ScalarType } from '@bufbuild/protobuf';

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
  /** The body as it is read, when that is not just as it comes. */
  readonly prepare?: (body: JsonRecord) => JsonRecord;
}
export type JsonRecord = Readonly<Record<string, JsonValue>>;

type Schema = Readonly<Record<string, unknown>>;

/** Names in a path. */
export const pathParameters = (path: string): readonly string[] =>
  [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name);

/** Request fields that the path says, and a body therefore may not; the id of an approval is three parts of a path. */
export function fieldsOfPath(path: string): readonly string[] {
  const names = pathParameters(path);
  return names.includes('round') ? ['approvalId'] : names;
}

/** OpenAPI 3.1 of REST operations that are RPCs: the schemas are the messages' own, so the document cannot drift. */
export function openApiOf(title: string, operations: readonly RestOperation[]): object {
  const schemas = new Map<string, Schema>();
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) (paths[operation.path] ??= {})[operation.method] = describe(operation, schemas);
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
      schemas: {
        ProblemDetails: problemSchema,
        ...Object.fromEntries([...schemas].sort(([a], [b]) => a.localeCompare(b))),
      },
    },
  };
}

function describe(
  { method, path, service, rpc, summary, query = [], stream }: RestOperation,
  schemas: Map<string, Schema>,
): Schema {
  const desc = service.methods.find(({ name }) => name === rpc);
  if (!desc) throw new Error(`${service.typeName} has no ${rpc}`);
  const fields = new Map(desc.input.fields.map((field) => [field.jsonName, field]));
  const given = fieldsOfPath(path);
  const body: Schema =
    given.length === 0
      ? reference(desc.input, schemas)
      : objectOf(
          desc.input.fields.filter(({ jsonName }) => !given.includes(jsonName)),
          schemas,
        );
  const ok = stream
    ? {
        description: 'Server-sent events: snapshot, change, progress, and at last end or failed',
        content: { 'text/event-stream': { schema: { type: 'string' } } },
      }
    : { description: 'Done', content: { 'application/json': { schema: reference(desc.output, schemas) } } };
  return {
    operationId: desc.localName,
    summary,
    parameters: [
      ...pathParameters(path).map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
      ...query.map((name) => {
        const field = fields.get(name);
        if (!field) throw new Error(`${rpc} has no ${name}`);
        return { name, in: 'query', required: false, schema: fieldSchema(field, schemas) };
      }),
    ],
    ...(method === 'post' && { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
    responses: {
      200: ok,
      default: {
        description: 'A problem (RFC 9457)',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/ProblemDetails' } } },
      },
    },
  };
}

// Not just Problem: there is a message of that name.
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
    schemas.set(name, objectOf(message.fields, schemas));
  }
  return { $ref: `#/components/schemas/${name}` };
}

const objectOf = (fields: readonly DescField[], schemas: Map<string, Schema>): Schema => ({
  type: 'object',
  properties: Object.fromEntries(fields.map((field) => [field.jsonName, fieldSchema(field, schemas)])),
  additionalProperties: false,
});

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
