import { defineSearchAttributeKey } from '@temporalio/common';
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow';
import { searchAttributes } from './contracts/plan';
import { type PlanRun, taskOf } from './plan-state';
import { summaryOf } from './plan-view';

export const keys = {
  kind: defineSearchAttributeKey(searchAttributes.kind, 'KEYWORD'),
  planId: defineSearchAttributeKey(searchAttributes.planId, 'KEYWORD'),
  planName: defineSearchAttributeKey(searchAttributes.planName, 'KEYWORD'),
  status: defineSearchAttributeKey(searchAttributes.status, 'KEYWORD'),
  owner: defineSearchAttributeKey(searchAttributes.owner, 'KEYWORD'),
  waitingForPerson: defineSearchAttributeKey(searchAttributes.waitingForPerson, 'BOOL'),
  waitingFor: defineSearchAttributeKey(searchAttributes.waitingFor, 'KEYWORD_LIST'),
} as const;

const attributeBytes = 1900;

/** As many names as one search attribute takes (2 KiB); more would hang the workflow. */
export function attributeList(names: Iterable<string>): string[] {
  let bytes = 0;
  return [...new Set(names)].sort().filter((name) => (bytes += name.length + 8) <= attributeBytes);
}

/** Temporal takes 400 bytes of summary; a character has at most three. */
export const summaryText = (text: string): string => text.slice(0, 130);

/** Search attributes and the summary in the Temporal UI; an event only when something that lists show has changed. */
export function createVisibility(run: PlanRun, isContinued: boolean): { update(): void } {
  // What it was started with: running, with nobody to wait for.
  let last = isContinued ? '' : '["running",[]]';
  return {
    update() {
      setCurrentDetails(summaryOf(run));
      const { state } = run;
      const who = attributeList([...run.active].flatMap((id) => taskOf(run, id).gate?.by ?? []));
      const now = JSON.stringify([state, who]);
      if (now === last) return;
      last = now;
      upsertSearchAttributes([
        { key: keys.status, value: state },
        { key: keys.waitingForPerson, value: who.length > 0 },
        { key: keys.waitingFor, value: who },
      ]);
    },
  };
}
