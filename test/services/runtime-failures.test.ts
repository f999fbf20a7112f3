import { Metadata, status } from '@grpc/grpc-js';
import { ApplicationFailure } from '@temporalio/common';
import fc from 'fast-check';
import {
  edgeStatus,
  fromGrpcError,
  toEdgeFailure,
  toGrpcStatus,
  toProblem,
} from '../../services/runtime/failure-status';
import { failure, type FailureType, failureTypes } from '../../workflows/contracts/failures';

const types = Object.keys(failureTypes) as FailureType[];
const silent = (): void => undefined;

describe('failures at the edge', () => {
  it.each(types)('carry %s to a client over gRPC and back', (type) => {
    const details = [{ pointer: '/a', message: 'b' }];
    const answer = toGrpcStatus(toEdgeFailure(failure(type, 'as it is', { details }), silent));
    expect(answer.code).not.toBe(status.OK);
    const metadata = answer.metadata ?? new Metadata();
    const error = Object.assign(new Error(), {
      code: answer.code ?? status.OK,
      details: answer.details ?? '',
      metadata,
    });
    expect(fromGrpcError(error)).toMatchObject({ type, message: 'as it is', details });
  });

  it('say why a service could not be reached, and nothing around it', () => {
    const details = 'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ';
    const error = Object.assign(new Error(), { code: status.UNAVAILABLE, details, metadata: new Metadata() });
    expect(fromGrpcError(error).message).toBe('the service does not answer: connect ECONNREFUSED 127.0.0.1:1');
  });

  it('say that trying again helps by statuses that mean so', () => {
    const hopeful = [status.UNAVAILABLE, status.RESOURCE_EXHAUSTED, status.DEADLINE_EXCEEDED];
    for (const type of types)
      expect([type, hopeful.includes(edgeStatus[type].grpc)]).toEqual([type, failureTypes[type].retryable]);
  });

  it('are found inside what Temporal wraps around them', () => {
    const inner = failure('NotEligible', 'no', { details: [{ pointer: '/x' }] });
    const wrapped = new Error('update failed', { cause: new Error('activity failed', { cause: inner }) });
    expect(toEdgeFailure(wrapped, silent)).toEqual({
      type: 'NotEligible',
      message: 'no',
      details: [{ pointer: '/x' }],
    });
  });

  it('call Temporal away by its own status, however wrapped', () => {
    const away = Object.assign(new Error('14 UNAVAILABLE'), { code: status.UNAVAILABLE });
    const stuck = Object.assign(new Error('Cannot query workflow due to Workflow Task in failed state.'), {
      code: status.FAILED_PRECONDITION,
    });
    for (const cause of [away, stuck])
      expect(toEdgeFailure(new Error('service error', { cause }), silent).type).toBe('WorkflowUnavailable');
  });

  it('never show what is not in the table', () => {
    const logged: string[] = [];
    const unknown = [
      ApplicationFailure.create({ type: 'SomethingElse', message: 'secret' }),
      new Error('secret'),
      'secret',
      undefined,
      null,
      { type: 'toString', message: 'secret' },
    ];
    for (const one of unknown) {
      const edge = toEdgeFailure(one, (id) => logged.push(id));
      expect(edge.type).toBe('Internal');
      expect(JSON.stringify([toProblem(edge), toGrpcStatus(edge)])).not.toContain('secret');
    }
    expect(new Set(logged).size).toBe(unknown.length);
  });

  it('are total: anything thrown has a status', () => {
    fc.assert(
      fc.property(fc.anything(), (thrown) => {
        const edge = toEdgeFailure(thrown, silent);
        expect(toProblem(edge).status).toBeGreaterThanOrEqual(400);
        expect(toGrpcStatus(edge).code).toBeGreaterThan(0);
      }),
    );
  });

  it('are problems as RFC 9457 wants them', () => {
    const details = [{ pointer: '/tasks/0', message: 'is wrong' }];
    expect(toProblem(toEdgeFailure(failure('PlanInvalid', 'one problem', { details }), silent), '/v1/plans')).toEqual({
      type: 'urn:aats:failure:PlanInvalid',
      title: 'The plan is wrong',
      status: 400,
      detail: 'one problem',
      instance: '/v1/plans',
      problems: details,
    });
  });
});
