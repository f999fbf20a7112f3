import { readFileSync } from 'node:fs';
import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import { ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { createGrpcClient, type GrpcClient } from '../../services/runtime/grpc-client';
import { clientCredentials } from '../../services/runtime/tls';
import type { RestSession } from '../../stack/rest-session';
import { tlsOf } from './project-manager';
import type { System } from './system';

/** Plans over gRPC, as the person of the session. */
export function plansAs({ stack }: System, session: RestSession): GrpcClient<typeof ProjectManager> {
  const { AATS_PROJECT_MANAGER_ADDRESS: address = '', AATS_CA_FILE: caFile = '' } = stack.identities.cli;
  return createGrpcClient(ProjectManager, {
    address,
    credentials: clientCredentials({ ca: readFileSync(caFile) }),
    token: () => session.token,
  });
}

/** Agents over gRPC, as the administrator. */
export const agentsAsAdmin = ({ stack }: System): GrpcClient<typeof CommunicationCoordinator> =>
  createGrpcClient(CommunicationCoordinator, {
    address: stack.identities.cli['AATS_COORDINATOR_ADDRESS'] ?? '',
    credentials: clientCredentials(tlsOf('admin')),
  });
