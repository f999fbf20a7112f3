import { type DescFile, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server, ServiceDefinition, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { PackageDefinition } from '@grpc/proto-loader';
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
  // The files as they are. proto-loader would merge those of a package and drop their imports: clients cannot link that.
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  );
  const reflection = new ReflectionService({ files: { fileDescriptorProtos } } as unknown as PackageDefinition);
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
