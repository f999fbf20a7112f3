import { create, type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { toEdgeFailure, toGrpcStatus } from './failure-status';
import { type AnyCall, identify } from './grpc-caller';
import type { Implemented } from './grpc-handlers';
import type { Identities } from './identity';
import { authorize } from './roles';

/** Reflection for identified callers only (ASVS 13.4.5). */
export function addReflection(server: Server, services: readonly Implemented[], identities: Identities): void {
  const files = new Map<string, DescFile>();
  const visit = (file: DescFile): void => {
    if (files.has(file.name)) return;
    for (const dependency of file.dependencies) visit(dependency);
    files.set(file.name, file);
  };
  for (const { service } of services) visit(service.file);
  const set = create(FileDescriptorSetSchema, { file: [...files.values()].map((file) => file.proto) });
  const reflection = new ReflectionService(
    loadFileDescriptorSetFromBuffer(Buffer.from(toBinary(FileDescriptorSetSchema, set))),
  );
  const guarded = new Proxy(server, {
    get: (target, property) =>
      property !== 'addService'
        ? (Reflect.get(target, property) as unknown)
        : (definition: ServiceDefinition, implementation: UntypedServiceImplementation) => {
            const handlers = Object.entries(implementation).map(([name, handler]) => [
              name,
              (call: AnyCall): void => {
                identify(call, identities)
                  .then((caller) => {
                    authorize(caller, 'grpc/reflection');
                  })
                  .then(
                    () => {
                      (handler as (call: unknown) => void)(call);
                    },
                    (error: unknown) => {
                      const edge = toEdgeFailure(error, () => undefined);
                      call.emit('error', Object.assign(new Error(edge.message), toGrpcStatus(edge)));
                    },
                  );
              },
            ]);
            target.addService(definition, Object.fromEntries(handlers) as UntypedServiceImplementation);
          },
  });
  reflection.addToServer(guarded);
}
