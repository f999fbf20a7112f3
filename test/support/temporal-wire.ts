import { credentials, Client, Metadata, Server, ServerCredentials, type handleUnaryCall } from '@grpc/grpc-js';
import { temporal } from '@temporalio/proto';

// Declared as a client; it is the description of the service.
const { methodsArray } = temporal.api.workflowservice.v1.WorkflowService as unknown as {
  readonly methodsArray: readonly { readonly name: string }[];
};
const path = (method: string): string => `/temporal.api.workflowservice.v1.WorkflowService/${method}`;
const raw = (bytes: Buffer): Buffer => bytes;

/**
 * A wire to Temporal that may hold back answers: `through` gets each answer of the method and gives what is passed on,
 * when it is passed on. All else passes as it is.
 */
export async function startWire(
  target: string,
  method: string,
  through: (answer: Buffer) => Promise<Buffer>,
): Promise<{ readonly address: string; close(): void }> {
  const client = new Client(target, credentials.createInsecure());
  const server = new Server();
  const methods = methodsArray.map(({ name }) => name);
  const forward =
    (name: string): handleUnaryCall<Buffer, Buffer> =>
    (call, answer) => {
      const metadata = new Metadata();
      for (const [key, value] of Object.entries(call.metadata.getMap()))
        if (key.startsWith('temporal-') || key === 'client-name' || key === 'client-version') metadata.set(key, value);
      const deadline = call.getDeadline();
      const asked = client.makeUnaryRequest(
        path(name),
        raw,
        raw,
        call.request,
        metadata,
        { deadline },
        (error, bytes) => {
          if (error || !bytes) answer(error);
          else if (name !== method) answer(null, bytes);
          else
            through(bytes).then(
              (passed) => {
                answer(null, passed);
              },
              (reason: unknown) => {
                answer(reason as Error);
              },
            );
        },
      );
      call.on('cancelled', () => {
        asked.cancel();
      });
    };
  server.addService(
    Object.fromEntries(
      methods.map((name) => [
        name,
        {
          path: path(name),
          requestStream: false,
          responseStream: false,
          requestSerialize: raw,
          requestDeserialize: raw,
          responseSerialize: raw,
          responseDeserialize: raw,
        },
      ]),
    ),
    Object.fromEntries(methods.map((name) => [name, forward(name)])),
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  return {
    address: `127.0.0.1:${port}`,
    close() {
      server.forceShutdown();
      client.close();
    },
  };
}
