import type Router from '@koa/router';
import { create, toJson } from '@bufbuild/protobuf';
import {
  CommunicationCoordinator,
  DrainAgentResponseSchema,
  GetAgentResponseSchema,
  ListAgentsResponseSchema,
} from '../../proto/aats/communication/v1/communication_pb';
import type { CallContext, Handlers } from '../runtime/grpc';
import { callerOf } from '../runtime/http';
import type { Identities } from '../runtime/identity';
import { authorize } from '../runtime/roles';
import type { Context } from 'koa';

/** Agents over REST, for people with a token; the same handlers and the same table of permissions as gRPC. */
export function addRoutes(
  router: Router,
  identities: Identities,
  handlers: Handlers<typeof CommunicationCoordinator>,
): void {
  const call = async (ctx: Context, method: string): Promise<CallContext> => {
    const name = `${CommunicationCoordinator.typeName}/${method}`;
    const caller = await callerOf(ctx, identities);
    authorize(caller, name);
    return { caller, signal: new AbortController().signal, method: name, surface: 'rest' };
  };
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  router.get('/v1/agents', async (ctx) => {
    const answer = await handlers.listAgents(
      { $typeName: 'aats.communication.v1.ListAgentsRequest', capability: text(ctx.query['capability']) },
      await call(ctx, 'ListAgents'),
    );
    ctx.body = toJson(ListAgentsResponseSchema, create(ListAgentsResponseSchema, answer), { alwaysEmitImplicit: true });
  });
  router.get('/v1/agents/:agentId', async (ctx) => {
    const answer = await handlers.getAgent(
      { $typeName: 'aats.communication.v1.GetAgentRequest', agentId: text(ctx.params['agentId']) },
      await call(ctx, 'GetAgent'),
    );
    ctx.body = toJson(GetAgentResponseSchema, create(GetAgentResponseSchema, answer), { alwaysEmitImplicit: true });
  });
  router.post('/v1/agents/:agentId/drain', async (ctx) => {
    const answer = await handlers.drainAgent(
      { $typeName: 'aats.communication.v1.DrainAgentRequest', agentId: text(ctx.params['agentId']) },
      await call(ctx, 'DrainAgent'),
    );
    ctx.body = toJson(DrainAgentResponseSchema, create(DrainAgentResponseSchema, answer), { alwaysEmitImplicit: true });
  });
}
