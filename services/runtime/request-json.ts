import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  ScalarType,
} from '@bufbuild/protobuf';
import { failure } from '../../workflows/contracts/failures';
import { escapePointer } from '../../workflows/plan-problems';

export interface Misfit {
  readonly pointer: string;
  readonly message: string;
}

/**
 * ProtoJSON as its message. Throws InvalidInput with everything that does not fit, unknown fields and `found` among it.
 */
export function readJsonRequest(schema: DescMessage, value: JsonValue, found: readonly Misfit[]): Message {
  try {
    const message = fromJson(schema, value);
    if (found.length === 0) return message;
  } catch (error) {
    // It stops at the first misfit: all of them are looked for now.
    const details = [...found, ...misfitsOf(schema, value, '')];
    if (details.length > 0) throw unfit(details);
    // What is wrong between fields, such as two of a choice.
    const message = error instanceof Error ? error.message.replace(/^cannot decode (field|message) [\w.]+ /, '') : '';
    throw unfit([{ pointer: '', message }]);
  }
  throw unfit(found);
}

const unfit = (details: readonly Misfit[]) =>
  failure('InvalidInput', 'the request does not fit its schema', { details });

/** Not one of the well-known types, which have a form of their own in JSON. */
const isOurs = ({ typeName }: DescMessage): boolean => !typeName.startsWith('google.protobuf.');
const isRecord = (value: JsonValue): value is Readonly<Record<string, JsonValue>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function misfitsOf(schema: DescMessage, value: JsonValue, pointer: string): readonly Misfit[] {
  if (!isRecord(value)) return [{ pointer, message: 'must be an object' }];
  const fields = new Map(schema.fields.flatMap((field) => [field.jsonName, field.name].map((name) => [name, field])));
  return Object.entries(value).flatMap(([name, one]) => {
    const inside = `${pointer}/${escapePointer(name)}`;
    const field = fields.get(name);
    if (!field) return [{ pointer: inside, message: 'is unknown' }];
    return one === null ? [] : misfitsOfField(schema, field, one, inside);
  });
}

function misfitsOfField(schema: DescMessage, field: DescField, value: JsonValue, pointer: string): readonly Misfit[] {
  switch (field.fieldKind) {
    case 'message':
      if (isOurs(field.message)) return misfitsOf(field.message, value, pointer);
      break;
    case 'list':
      if (!Array.isArray(value)) return [{ pointer, message: 'must be a list' }];
      if (field.listKind === 'message' && isOurs(field.message)) {
        const { message } = field;
        return value.flatMap((one, at) => misfitsOf(message, one, `${pointer}/${at}`));
      }
      break;
    case 'map':
      if (!isRecord(value)) return [{ pointer, message: 'must be an object' }];
      if (field.mapKind === 'message' && isOurs(field.message)) {
        const { message } = field;
        return Object.entries(value).flatMap(([key, one]) =>
          misfitsOf(message, one, `${pointer}/${escapePointer(key)}`),
        );
      }
  }
  try {
    fromJson(schema, { [field.jsonName]: value });
    return [];
  } catch {
    return [{ pointer, message: `must be ${wordsFor(field)}` }];
  }
}

function wordsFor(field: DescField): string {
  if (field.fieldKind === 'list') return `a list, each ${scalarWords(field.scalar)}`;
  if (field.fieldKind === 'map') return 'an object of the values that the schema says';
  if (field.fieldKind === 'scalar') return scalarWords(field.scalar);
  if (field.message?.typeName === 'google.protobuf.Struct') return 'an object, at most 100 levels deep';
  return 'as the schema says';
}

function scalarWords(scalar: ScalarType | undefined): string {
  switch (scalar) {
    case ScalarType.STRING:
      return 'a text';
    case ScalarType.BOOL:
      return 'true or false';
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return 'a number';
    case ScalarType.BYTES:
      return 'base64';
    default:
      return 'a whole number';
  }
}
