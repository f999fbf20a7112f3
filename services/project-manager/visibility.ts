import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { brokenRules, failure, type FieldRule } from '../../workflows/contracts/failures';
import { searchAttributes } from '../../workflows/contracts/plan';
import type { Misfit } from '../runtime/request-json';

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

/** A value inside a query; `refuseList` has seen that it is no more than that. */
export const quoted = (text: string): string => `'${text}'`;

const deepest = 10_000;
const mostOfPage = 200;

/** Throws InvalidInput with everything that is wrong with a list that is asked for; an empty filter is none. */
export function refuseList(
  filters: Readonly<Record<string, string>>,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
  found: readonly Misfit[] = [],
): void {
  const skip = skipOf(pageToken);
  const rules: readonly FieldRule[] = [
    ...Object.entries(filters).map(
      ([field, text]) =>
        [/^[\w.-]{0,100}$/.test(text), field, 'must be letters, digits, hyphens and dots, at most 100'] as const,
    ),
    [pageSize >= 0, 'pageSize', `must be 1 to ${mostOfPage}`],
    [Number.isSafeInteger(skip) && skip >= 0, 'pageToken', 'is not one of ours'],
    [!(skip > deepest), 'pageToken', `goes deeper than ${deepest}; narrow the filter`],
  ];
  const details = [...found, ...brokenRules(rules)];
  if (details.length > 0) throw failure('InvalidInput', 'what is asked of the list is wrong', { details });
}

const skipOf = (pageToken: string): number =>
  pageToken === '' ? 0 : Number(Buffer.from(pageToken, 'base64url').toString('utf8'));

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
  const size = pageSize === 0 ? 50 : Math.min(mostOfPage, pageSize);
  const skip = skipOf(pageToken);
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
