import type { ServerDuplexStream, ServerReadableStream, ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';
import { failure } from '../../workflows/contracts/failures';
import { bearerOf, type Caller, type Identities } from './identity';

export type AnyCall =
  | ServerUnaryCall<unknown, unknown>
  | ServerReadableStream<unknown, unknown>
  | ServerWritableStream<unknown, unknown>
  | ServerDuplexStream<unknown, unknown>;

/** The caller of a call, by token or else by certificate. Throws Unauthenticated. */
export async function identify(call: AnyCall, identities: Identities): Promise<Caller> {
  const certificate = call.getAuthContext().sslPeerCertificate;
  const [authorization] = call.metadata.get('authorization');
  // A person's token wins over the certificate of the service that passes it on: the person is who acts.
  if (typeof authorization === 'string') return identities.fromToken(bearerOf(authorization));
  const caller =
    certificate === undefined || !('raw' in certificate) ? undefined : identities.fromCertificate(certificate);
  if (!caller) throw failure('Unauthenticated', 'a client certificate of ours or a bearer token is needed');
  return caller;
}

/** The service whose certificate this connection carries, whoever it speaks for; undefined for all others. */
export function servicePeer(call: AnyCall, identities: Identities): string | undefined {
  const certificate = call.getAuthContext().sslPeerCertificate;
  const peer =
    certificate === undefined || !('raw' in certificate) ? undefined : identities.fromCertificate(certificate);
  return peer?.kind === 'service' ? peer.name : undefined;
}
