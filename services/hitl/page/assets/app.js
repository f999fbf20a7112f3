// Everything here is an extra: each page works without it.
(() => {
  const d = document; const root = d.documentElement; root.classList.add('js');
  const $ = (s, from = d) => from.querySelector(s); const $$ = (s, from = d) => [...from.querySelectorAll(s)];

  // What changed is said at most once in five seconds, in one place.
  let said = 0; let toSay; const status = d.createElement('p'); status.id = 'say'; status.className = 'vh'; status.setAttribute('role', 'status'); d.body.append(status);
  const say = (text) => { clearTimeout(toSay); toSay = setTimeout(() => { said = Date.now(); status.textContent = text; }, Math.max(0, said + 5000 - Date.now())); };

  // Light or dark: a cookie, so that the server writes data-theme itself.
  const flip = () => {
    const now = root.dataset.theme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
    const theme = now === 'dark' ? 'light' : 'dark'; root.dataset.theme = theme;
    d.cookie = `aats-theme=${theme}; Path=/; Max-Age=31536000; SameSite=Lax; Secure`; say(`${theme} colours`);
  };
  // Single keys can be turned off (WCAG 2.1.4).
  const keysOff = () => d.cookie.includes('aats-keys=off');
  const showKeys = () => { const b = $('[data-keys-off]'); if (b) { b.setAttribute('aria-pressed', String(keysOff())); b.textContent = keysOff() ? 'Turn single keys on' : 'Turn single keys off'; } };
  showKeys();

  d.addEventListener('click', async (e) => {
    const b = e.target.closest('button'); $$('details.menu[open]').forEach((m) => { if (!m.contains(e.target)) m.open = false; });
    if (!b) return;
    if (b.matches('[data-theme-toggle]')) flip();
    if (b.matches('[data-keys]')) $('#keys').showModal();
    if (b.matches('[data-keys-off]')) { d.cookie = `aats-keys=${keysOff() ? 'on' : 'off'}; Path=/; Max-Age=31536000; SameSite=Lax; Secure`; showKeys(); }
    if (b.matches('[data-copy]')) { try { await navigator.clipboard.writeText(b.previousElementSibling.textContent); b.textContent = 'Copied'; } catch { b.textContent = 'Select it'; } setTimeout(() => { b.textContent = 'Copy'; }, 1600); }
  });
  // One press, one answer; the server would count the second one as the first anyway.
  let sendable;
  d.addEventListener('submit', async (e) => {
    const form = e.target; const { submitter } = e;
    if (form.method !== 'post' || form === sendable) return;
    if (form.dataset.sent) { e.preventDefault(); return; }
    form.dataset.sent = '1'; addEventListener('pageshow', () => delete form.dataset.sent);
    // A page that stays open for long looks first whether anybody would take it: what was typed must not be lost.
    if (!out || new URL(form.action).pathname === '/sign-out') return;
    e.preventDefault();
    if (await isOut()) { delete form.dataset.sent; $('.notices').scrollIntoView({ block: 'center' }); return; }
    sendable = form; form.requestSubmit(submitter); sendable = undefined;
  });

  // Times come in UTC and are shown in the reader's zone.
  const two = (n) => String(n).padStart(2, '0');
  const times = (from = d) => {
    $$('[data-time], [data-time-text]', from).forEach((el) => {
      const at = new Date(el.dateTime ?? el.dataset.timeText); const far = Math.abs(Date.now() - at) > 20 * 36e5;
      const clock = `${two(at.getHours())}:${two(at.getMinutes())}${el.dataset.time === 'seconds' && !far ? `:${two(at.getSeconds())}` : ''}`;
      el.textContent = far ? `${at.toLocaleDateString('en-GB', { day: 'numeric', month: 'short' })}, ${clock}` : clock;
    });
  };
  times();
  const zone = $('[data-zone]'); if (zone) { const m = -new Date().getTimezoneOffset(); zone.textContent = `Times are yours (UTC${m === 0 ? '' : `${m > 0 ? '+' : '−'}${Math.floor(Math.abs(m) / 60)}${m % 60 ? `:${two(Math.abs(m) % 60)}` : ''}`})`; }

  // A list of lines: say at once what an edit means.
  const boxes = $$('[data-up] input[type=checkbox]'); const fields = $$('[data-up] input[type=text], [data-up] select, [data-edit], textarea[name$=json]');
  const isChanged = (f) => f.value !== (f.dataset.was ?? f.defaultValue);
  const tell = () => {
    const n = boxes.filter((b) => b.checked).length; const json = fields.some((f) => f.name.endsWith('json') && isChanged(f));
    const diffs = boxes.filter((b) => b.checked !== ('proposed' in b.dataset)).length + fields.filter((f) => !f.name.endsWith('json') && isChanged(f)).length;
    boxes.forEach((b) => b.closest('.up').classList.toggle('off', !b.checked));
    const label = $('[data-approve]'); const thing = label?.dataset.many;
    if (label) label.textContent = json ? 'Approve what the JSON says' : thing ? (diffs ? `Approve my list of ${n}` : `Approve ${n} ${thing}${n === 1 ? '' : 's'}`) : diffs ? 'Approve with my changes' : 'Approve';
    const count = $('[data-count]'); if (count) count.textContent = `${n} of ${boxes.length}`;
    $$('input[name=told]').forEach((f) => { f.value = '1'; });
    const note = $('#edited'); if (note) { note.hidden = !diffs && !json; note.textContent = json ? 'The JSON you wrote counts, not the lines.' : diffs ? `You changed ${diffs} ${thing ? (diffs === 1 ? 'line' : 'lines') : diffs === 1 ? 'field' : 'fields'}. The work gets ${thing ? 'your list' : 'what you made of it'}, and the record says that you changed it.` : ''; }
  };
  [...boxes, ...fields].forEach((el) => { el.addEventListener('change', tell); el.addEventListener('input', tell); });
  if (boxes.length || fields.length) tell();

  // A graph wider than its window starts at what runs or waits for you.
  const centre = () => $$('.canvas').forEach((c) => { const n = $('.graph.across .s-you, .graph.across .s-running', c); if (n && c.scrollWidth > c.clientWidth) c.scrollLeft += n.getBoundingClientRect().left - c.getBoundingClientRect().left - c.clientWidth / 2; });
  centre();

  // Live parts. A changed part moves neither focus nor scroll, nor what is unfolded.
  const nameOf = (el) => el && el !== d.body && (el.id ? `#${CSS.escape(el.id)}` : el.getAttribute('href') ? `a[href="${CSS.escape(el.getAttribute('href'))}"]` : undefined);
  const put = (id, text) => {
    const part = d.getElementById(id); if (!part) return;
    const doc = new DOMParser().parseFromString(text, 'text/html'); times(doc);
    if (part.innerHTML === doc.body.innerHTML) return;
    const inside = part.contains(d.activeElement); const name = inside && nameOf(d.activeElement); const canvas = $('.canvas', part);
    const at = canvas && [canvas.scrollLeft, canvas.scrollTop]; const region = inside && d.activeElement === canvas;
    part.replaceChildren(...doc.body.childNodes);
    const next = $('.canvas', part); if (next && at) [next.scrollLeft, next.scrollTop] = at;
    const again = region ? next : name && $(name, part); if (again) again.focus({ preventScroll: true });
  };
  const live = $('#live');
  const offline = $('#offline'); let renew = () => undefined;
  const standing = (ok) => {
    if (!live || live.classList.contains('off') === !ok) return;
    const now = new Date(); const at = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
    live.classList.toggle('off', !ok); $('span', live).textContent = ok ? 'Live' : 'Not live';
    if (!offline) return;
    $('h2', offline).textContent = `Not live since ${at}. You see how it stood then.`; offline.hidden = ok;
  };
  // The sign-in has ended: what was typed stays, and the forms take the proof of the next one.
  const out = $('#signed-out');
  const isOut = async () => {
    try {
      const answer = await fetch(location.href, { redirect: 'manual', headers: { accept: 'text/html' } });
      if (answer.type === 'opaqueredirect') { if (out) out.hidden = false; return true; }
      if (!answer.ok) throw new Error();
      const proof = $('input[name=proof]', new DOMParser().parseFromString(await answer.text(), 'text/html'))?.value;
      if (proof) { $$('input[name=proof]').forEach((f) => { f.value = proof; }); if (out) out.hidden = true; }
    } catch { standing(false); return true; }
    return false;
  };
  const { events, again } = d.body.dataset;
  if (events) {
    let source; let ended = false;
    const open = () => {
      source?.close(); source = new EventSource(events);
      source.addEventListener('open', () => { standing(true); if (out && !out.hidden) isOut(); });
      // A browser does not try again by itself what was answered with something else than events.
      source.addEventListener('error', () => { if (ended) return; standing(false); isOut(); if (source.readyState === 2) setTimeout(open, 5000); });
      source.addEventListener('state', (e) => standing(JSON.parse(e.data).live));
      source.addEventListener('parts', (e) => { const parts = JSON.parse(e.data); for (const [id, text] of Object.entries(parts)) put(id, text); const head = $('#p-head .state'); if (parts['p-head'] && head) say(head.textContent); });
      source.addEventListener('end', () => { ended = true; source.close(); live?.remove(); });
      source.addEventListener('gone', () => { source.close(); standing(false); isOut(); setTimeout(open, 5000); });
    };
    renew = open; open();
    addEventListener('pagehide', () => source.close()); addEventListener('pageshow', (e) => { if (e.persisted && !ended) open(); });
  } else if (again) {
    const look = async () => {
      if (d.hidden) return;
      try {
        const answer = await fetch(again, { headers: { accept: 'text/html' }, redirect: 'manual' });
        if (answer.type === 'opaqueredirect') { if (out) out.hidden = false; return; }
        if (!answer.ok) throw new Error();
        const doc = new DOMParser().parseFromString(await answer.text(), 'text/html');
        $$('[data-part]', doc).forEach((part) => put(part.id, part.innerHTML));
        ['.nav', '.tabs', '.small-nav'].forEach((s) => { const [old, now] = [$(s), $(s, doc)]; if (old && now && !old.contains(d.activeElement) && old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes); });
        if (d.title !== doc.title) { d.title = doc.title; say(doc.title); } standing(true); if (out) out.hidden = true;
      } catch { standing(false); }
    };
    renew = look; setInterval(look, 2000); d.addEventListener('visibilitychange', look);
  }
  d.addEventListener('click', (e) => { if (e.target.closest('[data-try]')) renew(); });

  // Keys. Never while typing, never with a modifier, off when the person turned them off. None answers by itself.
  let pre = ''; let row = -1;
  const move = (by) => {
    const rows = $$('[data-row]'); row = Math.min(rows.length - 1, Math.max(0, row + by));
    rows.forEach((r, i) => r.classList.toggle('cur', i === row)); const r = rows[row]; if (!r) return;
    ($('h3 a', r) ?? $('a', r) ?? $('summary', r) ?? $('input', r))?.focus(); r.scrollIntoView({ block: 'nearest' });
  };
  const go = { i: '/inbox', p: '/plans', a: '/agents' };
  d.addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || keysOff() || e.target.matches('input:not([type=checkbox], [type=radio]), textarea, select') || $('dialog[open]')) return;
    const k = e.key; const stop = () => e.preventDefault();
    if (pre === 'g' && go[k]) { stop(); location.href = go[k]; return; }
    pre = k === 'g' ? 'g' : '';
    if (k === '?') { stop(); $('#keys')?.showModal(); } else if (k === '/') { const q = $('input[type=search]'); if (q) { stop(); q.focus(); } } else if (k === 't') flip();
    else if (k === 'j' || k === 'k') { stop(); move(k === 'j' ? 1 : -1); } else if (k === 'x' || k === 'e') { const r = $$('[data-row]')[row]; if (r) { stop(); if (k === 'x') $('input[type=checkbox]', r)?.click(); else { const t = $('details', r); if (t) t.open = !t.open; } } } else if (k === 'u') $('.crumbs a')?.click();
    else if (k === 'n') $('.note .btn.primary')?.click();
    else { const b = $(`[data-key="${CSS.escape(k)}"]`); if (b) { stop(); b.focus(); b.scrollIntoView({ block: 'center' }); } }
  });
  // Printing shows what is folded.
  addEventListener('beforeprint', () => $$('details.more').forEach((x) => { x.open = true; }));
})();
