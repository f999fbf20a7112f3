import type { Person } from '../../../workflows/contracts/people';
import { proofField, type Theme } from './frame';
import { markup, type Html } from './html';
import { note } from './marks';
import { list, moment, personName } from './words';

export interface Settings {
  readonly person: Person;
  readonly proof: string;
  readonly theme: Theme;
  readonly singleKeys: boolean;
  /** When this sign-in ends, whatever is done until then. */
  readonly endsAt: Date;
  readonly now: Date;
  readonly isSaved: boolean;
}

const colours = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
] as const;

export function settingsMain({ person, proof, theme, singleKeys, endsAt, now, isSaved }: Settings): Html {
  const colour = (value: string, label: string): Html =>
    markup`<label class="check"><input type="radio" name="theme" value="${value}"${value === (theme ?? 'system') && markup` checked`}> ${label}</label>`;
  return markup`${isSaved && note('good', 'Saved.', markup`<p class="small">It counts in this browser.</p>`)}<div class="head"><div><h1>Settings of ${personName(person.name)}</h1></div></div><div class="cols"><div><section><h2>How you prove it is you</h2><div class="tbl flow" tabindex="0" role="region" aria-label="Factors"><table><thead><tr><th scope="col">What</th><th scope="col">When it is asked</th><th scope="col">How to change it</th></tr></thead><tbody><tr><td><b>Password</b></td><td data-l="Asked">first, with each sign-in</td><td data-l="Change">an admin gives you a new one</td></tr><tr><td><b>Codes</b> from an app</td><td data-l="Asked">then; each counts once</td><td data-l="Change">an admin gives you a new key</td></tr></tbody></table></div></section>
<section><h2>Where you are signed in</h2><dl class="kv"><dt>As</dt><dd>${person.name}</dd><dt>You may</dt><dd>${list(person.roles.map((role) => role.replace(/^aats-/, '')))}</dd><dt>You belong to</dt><dd>${person.groups.length === 0 ? 'no group' : list(person.groups)}</dd><dt>This sign-in ends</dt><dd>${moment(endsAt, now)} at the latest, or when you sign out</dd></dl></section></div>
<aside aria-label="This page"><section class="side"><h2>Page</h2><form method="post" action="/settings">${proofField(proof)}<fieldset class="field"><legend>Colours</legend>${colours.map(([value, label]) => colour(value, label))}</fieldset><div class="field"><label class="check"><input type="checkbox" name="keys" value="on"${singleKeys && markup` checked`}> Single keys (j, k, a, r …)</label></div><div class="row in"><button class="btn primary">Save</button></div></form></section></aside></div>`;
}
