import type { DescService } from '@bufbuild/protobuf';
import type { Handlers } from '../../services/runtime/grpc';
import { failure } from '../../workflows/contracts/failures';

/** Handlers of a service of which a test needs only some; the others answer that there is nothing. */
export function handlersOf<S extends DescService>(service: S, some: Partial<Handlers<S>>): Handlers<S> {
  const missing = () => Promise.reject(failure('PlanNotFound', 'this test has none'));
  return {
    ...Object.fromEntries(service.methods.map(({ localName }) => [localName, missing])),
    ...some,
  } as Handlers<S>;
}
