import type { CommunicationCoordinator } from '../../proto/aats/communication/v1/communication_pb';
import type { Artifacts } from '../../proto/aats/data/v1/data_pb';
import type { Approvals, ProjectManager } from '../../proto/aats/project/v1/project_pb';
import type { GrpcClient } from '../runtime/grpc-client';

/** The services that the page shows. Each call carries the person's own token: they decide what the person may. */
export interface Upstream {
  readonly plans: Pick<
    GrpcClient<typeof ProjectManager>,
    | 'validatePlan'
    | 'startPlan'
    | 'getPlan'
    | 'getTask'
    | 'listPlans'
    | 'watchPlan'
    | 'pausePlan'
    | 'resumePlan'
    | 'cancelPlan'
    | 'retryTask'
  >;
  readonly approvals: Pick<GrpcClient<typeof Approvals>, 'listApprovals' | 'getApproval' | 'decide'>;
  readonly artifacts: Pick<GrpcClient<typeof Artifacts>, 'getArtifact'>;
  readonly agents: Pick<GrpcClient<typeof CommunicationCoordinator>, 'listAgents' | 'drainAgent'>;
}
