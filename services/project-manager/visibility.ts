import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { failure } from '../../workflows/contracts/failures';
import { searchAttributes } from '../../workflows/contracts/plan';

/** The search attributes with their types, as Temporal's client wants them. */
export const keys = {
  kind: defineSearchAttributeKey(searchAttributes.kind, 'KEYWORD'),
  planId: defineSearchAttributeKey(searchAttributes.planId, 'KEYWORD'),
  planName: defineSearchAttributeKey(searchAttributes.planName, 'KEYWORD'),
  status: defineSearchAttributeKey(searchAttributes.status, 'KEYWORD'),
  owner: defineSearchAttributeKey(searchAttributes.owner, 'KEYWORD'),
  waitingForPerson: defineSearchAttributeKey(searchAttributes.waitingForPerson, 'BOOL'),
  waitingFor: defineSearchAttributeKey(searchAttributes.waitingFor, 'KEYWORD_LIST'),
} as const;

/** A value inside a query. Throws InvalidInput for one that could be more than a value. */
export function quoted(text: string): string {
  if (!/^[\w.-]{1,100}$/.test(text))
    throw failure('InvalidInput', 'a filter holds letters, digits, hyphens and dots only');
  return `'${text}'`;
}

const deepest = 10_000;

/**
 * One page of Temporal's visibility: what runs first, then what ended, the newest first. The client shows no token of
 * the server's, so a page token of ours counts; what comes meanwhile may move entries to the next page.
 */
export async function listExecutions(
  client: Client,
  query: string,
  pageSize: number,
  pageToken: string,
): Promise<{ readonly executions: readonly WorkflowExecutionInfo[]; readonly nextPageToken: string }> {
  if (pageSize < 0) throw failure('InvalidInput', 'the page size must be 1 to 200');
  const size = pageSize === 0 ? 50 : Math.min(200, pageSize);
  const skip = pageToken === '' ? 0 : Number(Buffer.from(pageToken, 'base64url').toString('utf8'));
  if (!Number.isSafeInteger(skip) || skip < 0) throw failure('InvalidInput', 'the page token is not one of ours');
  if (skip > deepest) throw failure('InvalidInput', `a list goes no deeper than ${deepest}; narrow the filter`);
  const executions: WorkflowExecutionInfo[] = [];
  let seen = 0;
  for await (const execution of client.workflow.list({ query, pageSize: Math.min(1000, skip + size + 1) })) {
    seen += 1;
    if (seen <= skip) continue;
    if (executions.length === size)
      return { executions, nextPageToken: Buffer.from(String(skip + size)).toString('base64url') };
    executions.push(execution);
  }
  return { executions, nextPageToken: '' };
}
