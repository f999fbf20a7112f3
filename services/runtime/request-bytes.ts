import { type DescMessage, fromBinary, type Message } from '@bufbuild/protobuf';
import { failure } from '../../workflows/contracts/failures';

/** A binary request as its message. Throws InvalidInput for what is none, and for fields that this server does not know. */
export function readRequest(schema: DescMessage, bytes: Uint8Array): Message {
  let message: Message;
  try {
    message = fromBinary(schema, bytes);
  } catch {
    throw failure('InvalidInput', `the request is no ${schema.typeName}`);
  }
  const details = unknownFields(message, '');
  // A newer client's gate would vanish in an older server.
  if (details.length > 0)
    throw failure('InvalidInput', 'the request has fields that this server does not know', { details });
  return message;
}

/** The requests of a stream, each read when its turn comes. */
export async function* readRequests(schema: DescMessage, stream: AsyncIterable<Uint8Array>): AsyncGenerator<Message> {
  for await (const bytes of stream) yield readRequest(schema, bytes);
}

interface UnknownFields {
  readonly pointer: string;
  readonly message: string;
}

/** Every place with fields of which the descriptor knows nothing. */
function unknownFields(value: object, pointer: string): readonly UnknownFields[] {
  const { $unknown = [] } = value as Message;
  const own = $unknown.map(({ no }) => ({ pointer, message: `field ${no} is unknown` }));
  const inside = Object.entries(value).filter(
    (entry): entry is [string, object] =>
      !entry[0].startsWith('$') &&
      typeof entry[1] === 'object' &&
      entry[1] !== null &&
      !(entry[1] instanceof Uint8Array),
  );
  return [...own, ...inside.flatMap(([name, one]) => unknownFields(one, `${pointer}/${name}`))];
}
