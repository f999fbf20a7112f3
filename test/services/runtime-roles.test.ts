import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DescService } from '@bufbuild/protobuf';
import type { Caller } from '../../services/runtime/identity';
import { authorize, permissions } from '../../services/runtime/roles';
import type { Role } from '../../workflows/contracts/people';
import { person } from '../support/issuer';

const protos = join(__dirname, '../../proto');
const isService = (value: unknown): value is DescService =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'service';
let methods: readonly string[] = [];
beforeAll(async () => {
  const files = readdirSync(protos, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('_pb.ts'));
  const modules = await Promise.all(files.map((file) => import(join(protos, file)) as Promise<object>));
  methods = modules
    .flatMap((one) => Object.values(one).filter(isService))
    .flatMap(({ typeName, methods: all }) => all.map(({ name }) => `${typeName}/${name}`));
});

const as = (role: Role): Caller => ({ kind: 'person', person: person('p', role), tokenId: 't' });
const service: Caller = { kind: 'service', name: 'hitl' };
const agent: Caller = { kind: 'agent', name: 'a' };
const may = (caller: Caller, method: string): boolean => {
  try {
    authorize(caller, method);
    return true;
  } catch {
    return false;
  }
};
const allowed = (caller: Caller): readonly string[] => methods.filter((method) => may(caller, method)).sort();

describe('permissions', () => {
  it('cover every method of every service, and nothing that is not there', () => {
    const listed = Object.keys(permissions).filter((name) => name.startsWith('aats.'));
    expect(methods.length).toBeGreaterThan(20);
    expect(listed.sort()).toEqual([...methods].sort());
  });

  it('give an admin all that people may', () => {
    expect(methods.filter((method) => !may(as('aats-admin'), method)).sort()).toEqual([
      'aats.communication.v1.CommunicationCoordinator/CancelAttempts',
      'aats.communication.v1.CommunicationCoordinator/ResolveRoutes',
    ]);
  });

  it('let an operator steer and approve, but start nothing', () => {
    const operator = as('aats-operator');
    for (const name of ['PausePlan', 'ResumePlan', 'CancelPlan', 'RetryTask', 'GetPlan', 'WatchPlan'])
      expect(may(operator, `aats.project.v1.ProjectManager/${name}`)).toBe(true);
    expect(may(operator, 'aats.project.v1.Approvals/Decide')).toBe(true);
    expect(may(operator, 'aats.project.v1.ProjectManager/StartPlan')).toBe(false);
    expect(may(operator, 'aats.communication.v1.CommunicationCoordinator/RegisterAgent')).toBe(false);
  });

  it('let a viewer see health and figures only', () => {
    expect(allowed(as('aats-viewer'))).toEqual(['aats.data.v1.DatabaseController/GetStoreHealth']);
    expect(may(as('aats-viewer'), 'http/metrics')).toBe(true);
  });

  it('let a service do anything but decide', () => {
    expect(methods.filter((method) => !may(service, method))).toEqual(['aats.project.v1.Approvals/Decide']);
  });

  it('let an agent do its work only', () => {
    expect(allowed(agent)).toEqual([
      'aats.communication.v1.CommunicationCoordinator/DrainAgent',
      'aats.communication.v1.CommunicationCoordinator/GetAgent',
      'aats.communication.v1.CommunicationCoordinator/Heartbeat',
      'aats.communication.v1.CommunicationCoordinator/RegisterAgent',
      'aats.data.v1.Artifacts/GetArtifact',
      'aats.data.v1.Artifacts/GetUpload',
      'aats.data.v1.Artifacts/PutArtifact',
      'aats.data.v1.Artifacts/StatArtifact',
    ]);
  });

  it('let nobody call what is not in the table', () => {
    for (const caller of [as('aats-admin'), service, agent]) expect(may(caller, 'aats.x.v1.X/Y')).toBe(false);
  });
});
