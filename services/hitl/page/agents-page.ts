import type { Agent } from '../../../proto/aats/communication/v1/communication_pb';
import { proofField } from './frame';
import { foreign, markup, type Html, type Part } from './html';
import { glyph, note, type Shape, stateMark } from './marks';
import { dateOf, duration, list, plural, thousands } from './words';

export interface Agents {
  readonly agents: readonly Agent[];
  /** Tasks published but not begun, by capability. */
  readonly queued: Readonly<Record<string, bigint>>;
  readonly search: string;
  readonly proof: string;
  /** May tell an agent to take nothing new (update on agents). */
  readonly maySteer: boolean;
  readonly now: Date;
  readonly note?: Html | undefined;
}

export function agentsMain(page: Agents): Html {
  return markup`${page.note}<div class="head"><div><h1>Agents</h1><div id="p-about" data-part>${about(page)}</div></div></div>
<form class="filters" method="get" action="/agents" role="search"><label class="vh" for="q">Search</label><input type="search" id="q" name="q" value="${page.search}" placeholder="Search by name or skill"><button class="btn">Show</button><span class="end small quiet" id="p-place" data-part>${page.agents.length > 0 && `${fitting(page).length} of ${page.agents.length}`}</span></form>
<div id="p-agents" data-part>${agentsList(page)}</div>`;
}

const fitting = ({ agents, search }: Agents): readonly Agent[] => {
  const words = search.toLowerCase().split(/\s+/);
  return agents.filter(({ agentId, capabilities }) => {
    const text = [agentId, ...capabilities.map(({ name }) => name)].join(' ').toLowerCase();
    return words.every((word) => text.includes(word));
  });
};
const unserved = ({ agents, queued }: Agents): readonly (readonly [capability: string, tasks: number])[] => {
  const served = new Set(
    agents.filter(({ state }) => state === 'ready').flatMap(({ capabilities }) => capabilities.map(({ name }) => name)),
  );
  return Object.entries(queued)
    .filter(([capability, count]) => count > 0n && !served.has(capability))
    .map(([capability, count]) => [capability, Number(count)]);
};

function about(page: Agents): Html {
  const { agents, queued } = page;
  const ending = agents.filter(({ state }) => state === 'draining').length;
  const running = agents.reduce((sum, one) => sum + one.running, 0);
  const waiting = Object.values(queued).reduce((sum, count) => sum + Number(count), 0);
  const here = agents.length === 1 ? '1 is here' : `${thousands(agents.length)} are here`;
  return markup`<p>${here}${ending > 0 && `, ${ending} of them ${ending === 1 ? 'is' : 'are'} ending`}. ${plural(running, 'task')} ${running === 1 ? 'runs' : 'run'}, ${thousands(waiting)} ${waiting === 1 ? 'waits' : 'wait'} for a free agent.</p>`;
}

function agentsList(page: Agents): Html {
  const shown = fitting(page);
  const alone = unserved(page);
  const table =
    shown.length > 0 &&
    markup`<div class="tbl flow" tabindex="0" role="region" aria-label="Agents"><table><thead><tr><th scope="col">Agent</th><th scope="col">State</th><th scope="col">Can do</th><th scope="col">By</th><th scope="col" class="num">Works on</th><th scope="col" class="num">Heard</th>${page.maySteer && markup`<th scope="col">Action</th>`}</tr></thead><tbody>${shown.map((agent) => row(agent, page))}</tbody></table></div>`;
  const empty =
    shown.length === 0 &&
    markup`<div class="empty"><svg viewBox="0 0 72 72" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><path d="M36 8l28 28-28 28L8 36z" stroke-dasharray="5 5"/></svg><h2>${page.agents.length === 0 ? 'No agent is here' : markup`No agent fits “${foreign(page.search)}”`}</h2><p>${page.agents.length === 0 ? 'Plans wait for the next one that comes; nothing is lost.' : markup`<a href="/agents">Show all ${page.agents.length}</a>`}</p></div>`;
  return markup`${table}${empty}${alone.length > 0 && markup`<section><h2>Work without an agent</h2><div class="note">${glyph('info')}<p>${alone.map(([capability, tasks], index) => markup`${index > 0 && ' '}${plural(tasks, 'task')} ${tasks === 1 ? 'waits' : 'wait'} for <code>${capability}</code>.`)} No agent here can do that. A task waits until one comes, or until its deadline.</p></div></section>`}`;
}

function row({ agentId, transport, capacity, capabilities, state, running, lastHeardAt }: Agent, page: Agents): Html {
  const heard = dateOf(lastHeardAt);
  const [shape, words]: readonly [Shape, Part] =
    state === 'draining'
      ? ['paused', 'Ending, takes nothing new']
      : state !== 'ready'
        ? ['unknown', state]
        : running > 0
          ? ['running', 'Working']
          : ['done', 'Free'];
  return markup`<tr data-row><td><b>${agentId}</b></td><td data-l="State">${stateMark(shape, words)}</td><td class="mono small" data-l="Can do">${list(capabilities.map(({ name }) => name)).replace(' and ', ', ')}</td><td data-l="By">${transport === 'kafka' ? 'Kafka' : transport === 'rabbitmq' ? 'RabbitMQ' : transport}</td><td class="num" data-l="Works on">${running} of ${capacity}</td><td class="num" data-l="Heard">${heard && `${duration(page.now.getTime() - heard.getTime())} ago`}</td>${page.maySteer && markup`<td>${state === 'ready' && markup`<form method="post" action="/agents/${agentId}/drain">${proofField(page.proof)}<button class="btn mini" aria-label="Let it finish: ${agentId}">Let it finish</button></form>`}</td>`}</tr>`;
}

export const drained = (agentId: string): Html =>
  note(
    'good',
    markup`${agentId} ends what it runs and takes nothing new.`,
    markup`<p class="small">It comes back when it is started again.</p>`,
  );
