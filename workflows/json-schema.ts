import { Validator } from '@cfworker/json-schema';
import type { Json, JsonSchema } from './contracts/json';
import { pointerTokens } from './json-pointer';

export interface SchemaProblem {
  /** JSON Pointer into the value. */
  readonly pointer: string;
  readonly message: string;
}

// The validator writes into the schema it is given: it gets a copy, and is made once for each schema object.
const validators = new WeakMap<object, Validator>();
const artifactKeys = new Set(['artifact', 'name', 'mediaType', 'size']);

/** Checks a value against a JSON Schema 2020-12; `format: artifact` and `contentMediaType` mean an artifact reference. */
export function validateValue(schema: JsonSchema, value: Json): readonly SchemaProblem[] {
  let validator = validators.get(schema);
  if (!validator) {
    validator = new Validator(JSON.parse(JSON.stringify(schema)) as object, '2020-12', false);
    validators.set(schema, validator);
  }
  const { valid, errors } = validator.validate(value);
  const problems = valid
    ? []
    : errors
        .filter(
          ({ keyword }) =>
            !['properties', 'items', 'allOf', 'additionalProperties'].includes(keyword) || errors.length === 1,
        )
        .map(({ instanceLocation, error }) => ({ pointer: instanceLocation.replace(/^#/, ''), message: error }));
  return [
    ...(valid || problems.length > 0
      ? problems
      : errors
          .slice(0, 5)
          .map(({ instanceLocation, error }) => ({ pointer: instanceLocation.replace(/^#/, ''), message: error }))),
    ...artifactProblems(schema, value, '', schema),
  ];
}

function artifactProblems(
  schema: Json | undefined,
  value: Json,
  pointer: string,
  root: JsonSchema,
): readonly SchemaProblem[] {
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) return [];
  const node = schema as JsonSchema;
  const within = (inner: Json | undefined, one: Json, at: string): readonly SchemaProblem[] =>
    artifactProblems(inner, one, at, root);
  // The same value once more; what may fit one of several schemas is left to agents.
  const again = [
    ...(typeof node['$ref'] === 'string' ? [schemaAt(root, node['$ref'])] : []),
    ...(Array.isArray(node['allOf']) ? (node['allOf'] as readonly Json[]) : []),
  ].flatMap((one) => within(one, value, pointer));
  if (node['format'] === 'artifact') {
    if (!isArtifactReference(value))
      return [...again, { pointer, message: 'is not an artifact reference {artifact, name, mediaType, size}' }];
    const wanted = node['contentMediaType'];
    return typeof wanted === 'string' && value['mediaType'] !== wanted
      ? [...again, { pointer, message: `is ${JSON.stringify(value['mediaType'])}, not ${wanted}` }]
      : again;
  }
  if (Array.isArray(value)) {
    const first = Array.isArray(node['prefixItems']) ? (node['prefixItems'] as readonly Json[]) : [];
    return [
      ...again,
      ...(value as readonly Json[]).flatMap((one, index) =>
        within(first[index] ?? node['items'], one, `${pointer}/${index}`),
      ),
    ];
  }
  if (typeof value !== 'object' || value === null) return again;
  const properties = (node['properties'] ?? {}) as JsonSchema;
  return [
    ...again,
    ...Object.entries(value).flatMap(([key, one]) =>
      within(Object.hasOwn(properties, key) ? properties[key] : node['additionalProperties'], one, `${pointer}/${key}`),
    ),
  ];
}

const schemaAt = (root: JsonSchema, reference: string): Json | undefined =>
  pointerTokens(reference).reduce<Json | undefined>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as JsonSchema)[key] : undefined),
    root,
  );

/** Whether a value is `{artifact: "sha256:…", name, mediaType, size}` and nothing more. */
export function isArtifactReference(value: Json): value is JsonSchema {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const entries = Object.entries(value);
  const reference = value as JsonSchema;
  return (
    entries.length === artifactKeys.size &&
    entries.every(([key]) => artifactKeys.has(key)) &&
    typeof reference['artifact'] === 'string' &&
    /^sha256:[0-9a-f]{64}$/.test(reference['artifact']) &&
    typeof reference['name'] === 'string' &&
    typeof reference['mediaType'] === 'string' &&
    Number.isSafeInteger(reference['size']) &&
    Number(reference['size']) >= 0
  );
}

/** Digests of all artifacts that a value refers to. */
export function artifactsIn(value: Json): readonly string[] {
  if (isArtifactReference(value)) return typeof value['artifact'] === 'string' ? [value['artifact']] : [];
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap(artifactsIn);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(artifactsIn) : [];
}
