import { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import type { RestOperation } from '../runtime/openapi';

const service = CommunicationCoordinator;

/** REST of the coordinator, for people: each route is an RPC. Agents come over gRPC or a bus. */
export const operations: readonly RestOperation[] = [
  {
    method: 'get',
    path: '/v1/agents',
    service,
    rpc: 'ListAgents',
    summary: 'Agents that are present, and how many tasks wait',
    query: ['capability'],
  },
  { method: 'get', path: '/v1/agents/{agentId}', service, rpc: 'GetAgent', summary: 'One agent' },
  {
    method: 'post',
    path: '/v1/agents/{agentId}/drain',
    service,
    rpc: 'DrainAgent',
    summary: 'Take nothing new and end what runs',
  },
];
