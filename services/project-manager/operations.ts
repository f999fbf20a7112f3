import { Approvals, ProjectManager } from '../../proto/aats/project/v1/project_pb';
import { failure } from '../../workflows/contracts/failures';
import type { JsonRecord, RestOperation } from '../runtime/openapi';

const plan = (
  method: 'get' | 'post',
  path: string,
  rpc: string,
  summary: string,
  more: Partial<RestOperation> = {},
): RestOperation => ({ method, path: `/v1/plans${path}`, service: ProjectManager, rpc, summary, ...more });
const approval = (
  method: 'get' | 'post',
  path: string,
  rpc: string,
  summary: string,
  more: Partial<RestOperation> = {},
): RestOperation => ({ method, path: `/v1/approvals${path}`, service: Approvals, rpc, summary, ...more });

/** A plan as an object is read as its JSON text, so that everything wrong with it is told in the words of plans. */
function planAsText(body: JsonRecord): JsonRecord {
  const source = body['plan'];
  if (typeof source !== 'object' || source === null || Array.isArray(source)) return body;
  const { plan: whole, ...rest } = source;
  if (typeof whole !== 'object' || whole === null) return body;
  return { ...body, plan: { ...rest, document: textOf(whole) } };
}

/** Throws TooLarge for what is nested so deep that it has no text. */
function textOf(whole: object): string {
  try {
    return JSON.stringify(whole);
  } catch {
    throw failure('TooLarge', 'the plan is nested too deep');
  }
}

/** REST of the project manager: each route is an RPC. */
export const operations: readonly RestOperation[] = [
  plan('post', '/validate', 'ValidatePlan', 'Every problem of a plan; starts nothing', { prepare: planAsText }),
  plan('post', '', 'StartPlan', 'Start a plan; the same id and content again is the same plan', {
    prepare: planAsText,
  }),
  plan('get', '', 'ListPlans', 'Plans, newest first', {
    query: ['states', 'owner', 'name', 'waitingForPerson', 'pageSize', 'pageToken'],
  }),
  plan('get', '/{planId}', 'GetPlan', 'A plan and its tasks', { query: ['taskOffset', 'taskLimit'] }),
  plan('get', '/{planId}/tasks/{taskId}', 'GetTask', 'One task with arguments, output and attempts'),
  plan(
    'get',
    '/{planId}/watch',
    'WatchPlan',
    'A snapshot, then every change, as server-sent events; Last-Event-ID resumes',
    { stream: true, query: ['cursor'] },
  ),
  plan('post', '/{planId}/pause', 'PausePlan', 'Nothing new starts'),
  plan('post', '/{planId}/resume', 'ResumePlan', 'Go on after a pause'),
  plan('post', '/{planId}/cancel', 'CancelPlan', 'Tell the agents to stop, then undo'),
  plan('post', '/{planId}/tasks/{taskId}/retry', 'RetryTask', 'Run a task again, and what depends on it'),
  approval('get', '', 'ListApprovals', 'The inbox', { query: ['view', 'planId', 'pageSize', 'pageToken'] }),
  approval('get', '/{plan}/{task}/{round}', 'GetApproval', 'One request with everything that is shown'),
  approval('post', '/{plan}/{task}/{round}/decision', 'Decide', 'Answer; the reply says whether the answer counted'),
];
