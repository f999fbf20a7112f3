import { Artifacts } from '../proto/aats/data/v1/data_pb';
import { Approvals, ProjectManager } from '../proto/aats/project/v1/project_pb';
import { createGrpcClient } from '../services/runtime/grpc-client';
import { clientCredentials } from '../services/runtime/tls';
import { readAuthority, rest } from './https';
import { accessToken } from './session';
import type { Settings } from './settings';

/** Clients of the services with the person's token; closed by the caller. */
export async function connect(settings: Settings) {
  const token = await accessToken(settings);
  const credentials = clientCredentials({ ca: readAuthority(settings.caFile) });
  const client = { credentials, token: () => token, surface: 'cli' as const };
  const plans = createGrpcClient(ProjectManager, { address: settings.projectManager, ...client });
  const approvals = createGrpcClient(Approvals, { address: settings.projectManager, ...client });
  const artifacts = createGrpcClient(Artifacts, { address: settings.databaseController, ...client });
  return {
    plans,
    approvals,
    artifacts,
    agents: (method: 'GET' | 'POST', path: string) =>
      rest({ method, url: `${settings.coordinator}${path}`, caFile: settings.caFile, token }),
    close: () => {
      plans.close();
      approvals.close();
      artifacts.close();
    },
  };
}
export type Connection = Awaited<ReturnType<typeof connect>>;
