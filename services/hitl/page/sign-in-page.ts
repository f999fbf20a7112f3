import { door, type Theme } from './frame';
import { markup, type Html } from './html';
import { glyph } from './marks';

const problemLine = (id: string, problem: string): Html =>
  markup`<p class="err" id="${id}" role="alert">${glyph('failed')}<span>${problem}</span></p>`;

export function passwordPage(options: {
  theme: Theme;
  next: string;
  name: string;
  problem?: string | undefined;
  said?: string | undefined;
}): Html {
  const { theme, next, name, problem, said } = options;
  const wrong = problem !== undefined && markup` aria-invalid="true" aria-describedby="pw-e"`;
  return door(
    'Sign in',
    theme,
    markup`<h1>Sign in</h1><p class="soft">${said ?? 'Two steps: your password, then a code from your app.'}</p>
<form method="post" action="/sign-in"><input type="hidden" name="next" value="${next}"><div class="field"><label for="name">Name</label><input id="name" name="name" type="text" autocomplete="username" required maxlength="63" autocapitalize="none" spellcheck="false" value="${name}"></div>
<div class="field"><label for="pw">Password</label><input id="pw" name="password" type="password" autocomplete="current-password" required maxlength="1000"${wrong}>${problem !== undefined && problemLine('pw-e', problem)}</div>
<button class="btn primary wide">Go on</button></form>
${next !== '/inbox' && markup`<p class="small quiet in">Signed in already, and came by a link from elsewhere? <a href="${next}">Go on to what you were sent</a>.</p>`}<p class="small quiet in">AATS never asks for your password by mail or chat.</p>`,
  );
}

export function codePage(options: {
  theme: Theme;
  next: string;
  name: string;
  challenge: string;
  problem?: string | undefined;
}): Html {
  const { theme, next, name, challenge, problem } = options;
  const wrong = problem !== undefined && markup` aria-invalid="true"`;
  return door(
    'Enter your code',
    theme,
    markup`<ol class="dots" aria-label="Steps"><li>${glyph('done')} Password</li><li aria-current="step">${glyph('you')} Code</li></ol><h1>Enter the code from your app</h1><p class="soft">Six digits, new every 30 seconds. Signing in as <b>${name}</b>.</p>
<form method="post" action="/sign-in/code"><input type="hidden" name="next" value="${next}"><input type="hidden" name="challenge" value="${challenge}"><input type="hidden" name="name" value="${name}"><div class="field"><label for="code">Code</label><span class="hint" id="code-h">A code works once. Pasting is fine.</span><input class="code" id="code" name="code" type="text" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9 ]{6,7}" maxlength="7" required aria-describedby="code-h${problem === undefined ? '' : ' code-e'}"${wrong}>${problem !== undefined && problemLine('code-e', problem)}</div>
<div class="row"><button class="btn primary">Sign in</button><a class="btn plain" href="/sign-in">Begin again</a></div></form>`,
  );
}
