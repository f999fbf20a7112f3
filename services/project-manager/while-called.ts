import type { DescService } from '@bufbuild/protobuf';
import type { Client } from '@temporalio/client';
import type { CallContext, Handlers } from '../runtime/grpc';

type Handler = (request: never, call: CallContext) => Promise<unknown>;

/** What a call for one answer asks of Temporal is given up with the call: an update would be waited for without end. */
export function whileCalled<S extends DescService>(temporal: Client, service: S, handlers: Handlers<S>): Handlers<S> {
  const entries = Object.entries(handlers as unknown as Readonly<Record<string, Handler>>);
  return Object.fromEntries(
    entries.map(([name, handler]): [string, Handler] => [
      name,
      service.method[name]?.methodKind === 'unary'
        ? (request, call) => temporal.withAbortSignal(call.signal, () => handler(request, call))
        : handler,
    ]),
  ) as unknown as Handlers<S>;
}
