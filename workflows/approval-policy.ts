import type { ApprovalRequest, Decision } from './contracts/approval';
import { failure } from './contracts/failures';
import { jsonBytes, type JsonObject } from './contracts/json';
import { isOneOf } from './contracts/people';
import { argumentsLimitBytes } from './contracts/plan';
import { hasPlace, pointerTokens, replaceAt } from './json-pointer';
import { validateValue } from './json-schema';

export const longestReason = 2000;

/** Throws when a decision would not count: who decides, what was seen, and what may be changed. Pure and synchronous. */
export function refuseDecision(request: ApprovalRequest, decision: Decision): void {
  const { person, choice, edits, digest } = decision;
  if (!isOneOf(person, request.by))
    throw failure('NotEligible', `${person.name} may not answer; ${request.by.join(', ')} may`);
  if (request.excluded.includes(person.name))
    throw failure('NotEligible', `${person.name} asked for it, so somebody else must answer`);
  if (!person.roles.some((role) => role === 'aats-admin' || role === 'aats-operator'))
    throw failure('NotEligible', `${person.name} may look, but not answer`);
  if (digest !== request.digest)
    throw failure('ApprovalSuperseded', `${request.approvalId} is not what you were shown; look again`);
  if (!['approve', 'reject'].includes(choice)) throw failure('InvalidInput', 'the choices are approve and reject');
  const reason = decision.reason?.trim() ?? '';
  if (reason.length > longestReason)
    throw failure('InvalidInput', `the reason has more than ${longestReason} characters`);
  if (choice === 'reject' && reason === '') throw failure('InvalidInput', 'rejecting needs a reason');
  if (choice === 'approve' && request.reasonRequired && reason === '')
    throw failure('InvalidInput', 'approving needs a reason here');
  if (choice === 'reject' && edits.length > 0)
    throw failure('InvalidInput', 'a rejection changes nothing: leave the edits out');
  const bytes = jsonBytes(applyEdits(request, edits));
  if (edits.length > 0 && bytes > argumentsLimitBytes)
    throw failure('InvalidInput', `the arguments would have ${bytes} bytes, more than ${argumentsLimitBytes}`);
}

/** The subject with the edits; throws InvalidInput listing every edit that may not be made. */
export function applyEdits(request: ApprovalRequest, edits: Decision['edits']): JsonObject {
  let subject = request.subject;
  const details: { pointer: string; message: string }[] = [];
  for (const { path, value } of edits) {
    const editable = request.editable.find((one) => one.path === path);
    if (!editable) {
      details.push({ pointer: path, message: 'may not be changed' });
      continue;
    }
    for (const { pointer, message } of validateValue(editable.schema, value))
      details.push({ pointer: `${path}${pointer}`, message });
    const place = pointerTokens(path);
    if (hasPlace(subject, place)) subject = replaceAt(subject, place, value) as JsonObject;
    else details.push({ pointer: path, message: 'is not there to be changed' });
  }
  if (details.length > 0)
    throw failure(
      'InvalidInput',
      `${details.length === 1 ? 'one change' : `${details.length} changes`} cannot be made`,
      { details },
    );
  return subject;
}
