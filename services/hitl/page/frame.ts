import { foreignText, markup, type Html, type Part } from './html';
import { glyph } from './marks';
import { version } from '../package-files';
import { sprite } from './sprite';
import { moment, personName } from './words';

export type Theme = 'light' | 'dark' | undefined;

/** What stands on every page of a signed-in person. */
export interface Frame {
  readonly person: string;
  /** Synchroniser token of the session, in every form. */
  readonly proof: string;
  readonly theme: Theme;
  /** Open requests this person may answer. */
  readonly asked: number;
  /** Absent when it could not be asked. */
  readonly openPlans: string | undefined;
  readonly readAt: Date;
}
interface Page {
  readonly title: string;
  readonly at?: 'inbox' | 'plans' | 'agents';
  readonly main: Html;
  /** The page changes by itself: an address of server-sent events, or one that is asked again. */
  readonly live?: { readonly events: string } | { readonly again: string };
}

const head = (title: string, theme: Theme): Html => markup`<!doctype html>
<html lang="en"${theme ? markup` data-theme="${theme}"` : ''}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${foreignText(title)} · AATS</title>
<meta name="color-scheme" content="light dark"><link rel="icon" href="/assets/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="/assets/style.css"><script src="/assets/app.js" defer></script></head>`;

export const proofField = (proof: string): Html => markup`<input type="hidden" name="proof" value="${proof}">`;

const keys: readonly (readonly [what: string, ...keys: string[]])[] = [
  ['next / previous line', 'j', 'k'],
  ['open', 'Enter'],
  ['take off or on', 'x'],
  ['open or fold details', 'e'],
  ['go to Approve', 'a'],
  ['go to Reject', 'r'],
  ['next request', 'n'],
  ['back to the list', 'u'],
  ['search', '/'],
  ['inbox', 'g i'],
  ['plans', 'g p'],
  ['agents', 'g a'],
  ['light or dark', 't'],
  ['this list', '?'],
];
const keysDialog = markup`<dialog id="keys" aria-labelledby="keys-h"><div class="row"><h2 id="keys-h">Keys</h2><form method="dialog"><button class="btn mini">Close <kbd>Esc</kbd></button></form></div>
<div class="keys">${keys.map(([what, ...all]) => markup`<div><span>${what}</span><span>${all.flatMap((key, index) => [index > 0 ? ' / ' : '', ...key.split(' ').map((one) => markup`<kbd>${one}</kbd> `)])}</span></div>`)}</div>
<p class="small quiet in">No key answers by itself: a and r only move you to the button.</p><p class="row"><button type="button" class="btn mini" data-keys-off aria-pressed="false">Turn single keys off</button></p></dialog>`;

function links(frame: Frame, at: Page['at']): Html {
  const current = (name: Page['at']): Part => name === at && markup` aria-current="page"`;
  const asked =
    frame.asked > 0 && markup`<span class="n you">${frame.asked}<span class="vh"> waiting for you</span></span>`;
  return markup`<a href="/inbox"${current('inbox')}>Inbox ${asked}</a><a href="/plans"${current('plans')}>Plans ${frame.openPlans !== undefined && markup`<span class="n">${frame.openPlans}<span class="vh"> not ended</span></span>`}</a><a href="/agents"${current('agents')}>Agents</a>`;
}

/** Shown by the script, when it is so; until then nobody reads it. */
const notLive = markup`<div class="notices"><div class="note bad" role="alert" id="offline" hidden>${glyph('failed')}<h2>Not live. You see how it stood then.</h2><p>The page cannot reach AATS and tries again every few seconds. Your answers are not lost: what you typed stays here, and nothing counts until you see “Your approval counted”.</p><p class="row"><button class="btn" type="button" data-try>Try now</button></p></div>
<div class="note ask" role="alert" id="signed-out" hidden>${glyph('waiting')}<h2>Your sign-in has ended</h2><p>What you typed stays here. <a href="/sign-in" target="_blank" rel="noopener">Sign in again in another tab</a>, then send it from here.</p></div></div>`;

/** A whole document for a person who is signed in. */
export function page(frame: Frame, { title, at, main, live }: Page): Html {
  const source =
    live && ('events' in live ? markup` data-events="${live.events}"` : markup` data-again="${live.again}"`);
  return markup`${head(frame.asked > 0 ? `(${frame.asked}) ${title}` : title, frame.theme)}
<body${source}>${sprite}<a class="skip" href="#main">Skip to the content</a>
<header class="top"><div><a class="brand" href="/inbox"><svg aria-hidden="true"><use href="#mark"/></svg>AATS</a><nav class="nav" aria-label="Main">${links(frame, at)}</nav>
<div class="tools">${live && markup`<span class="live js-only" role="status" id="live"><i></i><span>Live</span></span>`}
<button class="btn plain mini js-only hide" type="button" data-keys aria-label="Keys">Keys <kbd>?</kbd></button>
<details class="menu"><summary><span class="vh">Menu of </span>${glyph('person')}<span>${personName(frame.person)}</span></summary><div><div class="small-nav">${links(frame, at)}</div><a href="/settings">Settings</a><button type="button" class="js-only" data-theme-toggle>Light or dark <kbd>t</kbd></button><form method="post" action="/sign-out">${proofField(frame.proof)}<button>Sign out</button></form></div></details></div></div></header>
<main id="main">${live && notLive}${main}</main>
<footer class="foot"><span data-zone>Times are in UTC</span><span>AATS ${version}</span><span>Read at ${moment(frame.readAt, frame.readAt, 'seconds')}, straight from the services</span></footer>
${keysDialog}</body></html>`;
}

/** A document for somebody who is not signed in. */
export const door = (title: string, theme: Theme, main: Html): Html => markup`${head(title, theme)}
<body>${sprite}<a class="skip" href="#main">Skip to the content</a>
<div class="door"><main id="main"><a class="brand" href="/sign-in"><svg aria-hidden="true"><use href="#mark"/></svg>AATS</a>${main}</main></div></body></html>`;
