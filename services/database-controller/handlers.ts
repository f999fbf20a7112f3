import type { Lineage as LineageService, DatabaseController } from '../../proto/aats/data/v1/data_pb';
import type { Lineage } from '../../activities/stores/lineage';
import { failure } from '../../workflows/contracts/failures';
import type { Handlers } from '../runtime/grpc';
import type { Health } from '../runtime/health';
import { fromStore } from './store-failures';

export function createHealthHandlers(health: Health): Handlers<typeof DatabaseController> {
  return {
    async getStoreHealth() {
      const stores = await health.check();
      return { stores: stores.map(({ name, problem = '', ...rest }) => ({ store: name, problem, ...rest })) };
    },
  };
}

const defaultDepth = 5;
/** proto: 1 to 20, 0 (unset) is 5. */
export function depthOf(asked: number): number {
  if (!Number.isInteger(asked) || asked < 0 || asked > 20) throw failure('InvalidInput', 'depth must be 1 to 20');
  return asked === 0 ? defaultDepth : asked;
}

export function createLineageHandlers(lineage: Lineage): Handlers<typeof LineageService> {
  const answer = (
    graph: ReturnType<Lineage['ofPlan']>,
  ): ReturnType<Handlers<typeof LineageService>['getPlanLineage']> =>
    fromStore(async () => {
      const { nodes, edges } = await graph;
      return { nodes: nodes.map((node) => ({ ...node, properties: { ...node.properties } })), edges: [...edges] };
    });
  return {
    getArtifactLineage: async ({ artifact, depth }) => {
      const { nodes, edges } = await answer(lineage.ofArtifact(artifact, depthOf(depth)));
      return { ...(nodes && { nodes }), ...(edges && { edges }) };
    },
    getPlanLineage: ({ planId }) => answer(lineage.ofPlan(planId)),
  };
}
