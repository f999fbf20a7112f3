import { failure } from '../../workflows/contracts/failures';
import type { Role } from '../../workflows/contracts/people';
import type { Caller } from './identity';

export type Resource = 'agents' | 'tasks' | 'system' | 'metrics' | 'health';
export type Verb = 'create' | 'read' | 'update' | 'delete';

/** Specification, RBAC Configuration. */
const grants: Record<Role, { readonly resources: readonly Resource[]; readonly verbs: readonly Verb[] }> = {
  'aats-admin': {
    resources: ['agents', 'tasks', 'system', 'metrics', 'health'],
    verbs: ['create', 'read', 'update', 'delete'],
  },
  'aats-operator': { resources: ['agents', 'tasks', 'metrics', 'health'], verbs: ['read', 'update'] },
  'aats-viewer': { resources: ['metrics', 'health'], verbs: ['read'] },
};

interface Permission {
  readonly resource: Resource;
  readonly verb: Verb;
  /** Agents may call it with their certificate. */
  readonly agents?: boolean;
  /** Only people may: a service or an agent never decides. */
  readonly peopleOnly?: boolean;
  /** Only services may. */
  readonly servicesOnly?: boolean;
}

/** Who may call what, for gRPC and REST alike. Approving is an update of tasks; starting a plan creates tasks. */
export const permissions: Readonly<Record<string, Permission>> = {
  'aats.project.v1.ProjectManager/ValidatePlan': { resource: 'tasks', verb: 'read' },
  'aats.project.v1.ProjectManager/StartPlan': { resource: 'tasks', verb: 'create' },
  'aats.project.v1.ProjectManager/GetPlan': { resource: 'tasks', verb: 'read' },
  'aats.project.v1.ProjectManager/GetTask': { resource: 'tasks', verb: 'read' },
  'aats.project.v1.ProjectManager/ListPlans': { resource: 'tasks', verb: 'read' },
  'aats.project.v1.ProjectManager/WatchPlan': { resource: 'tasks', verb: 'read' },
  'aats.project.v1.ProjectManager/PausePlan': { resource: 'tasks', verb: 'update' },
  'aats.project.v1.ProjectManager/ResumePlan': { resource: 'tasks', verb: 'update' },
  'aats.project.v1.ProjectManager/CancelPlan': { resource: 'tasks', verb: 'update' },
  'aats.project.v1.ProjectManager/RetryTask': { resource: 'tasks', verb: 'update' },
  'aats.project.v1.Approvals/ListApprovals': { resource: 'tasks', verb: 'read' },
  'aats.project.v1.Approvals/GetApproval': { resource: 'tasks', verb: 'read' },
  'aats.project.v1.Approvals/Decide': { resource: 'tasks', verb: 'update', peopleOnly: true },
  'aats.data.v1.DatabaseController/GetStoreHealth': { resource: 'health', verb: 'read' },
  'aats.data.v1.Artifacts/PutArtifact': { resource: 'tasks', verb: 'update', agents: true },
  'aats.data.v1.Artifacts/GetUpload': { resource: 'tasks', verb: 'read', agents: true },
  'aats.data.v1.Artifacts/GetArtifact': { resource: 'tasks', verb: 'read', agents: true },
  'aats.data.v1.Artifacts/StatArtifact': { resource: 'tasks', verb: 'read', agents: true },
  'aats.data.v1.Lineage/GetArtifactLineage': { resource: 'tasks', verb: 'read' },
  'aats.data.v1.Lineage/GetPlanLineage': { resource: 'tasks', verb: 'read' },
  'aats.communication.v1.CommunicationCoordinator/RegisterAgent': { resource: 'agents', verb: 'create', agents: true },
  'aats.communication.v1.CommunicationCoordinator/Heartbeat': { resource: 'agents', verb: 'update', agents: true },
  'aats.communication.v1.CommunicationCoordinator/DrainAgent': { resource: 'agents', verb: 'update', agents: true },
  'aats.communication.v1.CommunicationCoordinator/ListAgents': { resource: 'agents', verb: 'read' },
  'aats.communication.v1.CommunicationCoordinator/GetAgent': { resource: 'agents', verb: 'read', agents: true },
  'aats.communication.v1.CommunicationCoordinator/ResolveRoutes': {
    resource: 'agents',
    verb: 'read',
    servicesOnly: true,
  },
  'aats.communication.v1.CommunicationCoordinator/CancelAttempts': {
    resource: 'agents',
    verb: 'update',
    servicesOnly: true,
  },
  'http/metrics': { resource: 'metrics', verb: 'read' },
  'http/health': { resource: 'health', verb: 'read' },
  'grpc/reflection': { resource: 'health', verb: 'read', agents: true },
};

/**
 * Throws PermissionDenied unless the caller may; a method that is not in the table may be called by nobody.
 * Services carry the specification's service account `aats-system`, which is an admin, but never decide.
 */
export function authorize(caller: Caller, method: string): void {
  const permission = permissions[method];
  if (permission && allowed(caller, permission)) return;
  const who = caller.kind === 'person' ? caller.person.name : `${caller.kind} ${caller.name}`;
  throw failure(
    'PermissionDenied',
    `${who} may not ${permission ? `${permission.verb} ${permission.resource}` : `call ${method}`}`,
  );
}

function allowed(caller: Caller, { resource, verb, agents, peopleOnly, servicesOnly }: Permission): boolean {
  switch (caller.kind) {
    case 'service':
      return peopleOnly !== true;
    case 'agent':
      return agents === true;
    case 'person':
      return (
        servicesOnly !== true &&
        caller.person.roles.some(
          (role) => grants[role].resources.includes(resource) && grants[role].verbs.includes(verb),
        )
      );
  }
}
