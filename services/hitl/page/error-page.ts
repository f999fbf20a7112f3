import { markup, type Html, type Part } from './html';

/** What is not there or did not work, a likely meaning, and the ways on. */
export const errorMain = (title: string, meaning: Part, reference?: string): Html =>
  markup`<div class="empty"><svg viewBox="0 0 72 72" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true"><path d="M36 8l28 28-28 28L8 36z" stroke-dasharray="5 5"/><path d="M36 24v16M36 47v2"/></svg><h1>${title}</h1><p class="in">${meaning}</p><p class="row"><a class="btn" href="/plans">All plans</a><a class="btn" href="/inbox">Inbox</a></p>${
    reference !== undefined &&
    markup`<p class="small quiet in">Reference <code>${reference}</code>. Tell it to an admin, it leads to the log.</p>`
  }</div>`;
