import { trusted } from './html';

/** Every sign of the page, once in each document; colours reach into `<use>` by custom properties. */
export const sprite = trusted(`<svg class="sprite" aria-hidden="true" focusable="false"><defs>
<symbol id="g-done" viewBox="0 0 16 16"><circle cx="8" cy="8" r="7" fill="currentColor"/><path class="g-on" d="M4.8 8.3l2.2 2.2 4.2-4.6" fill="none" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/></symbol>
<symbol id="g-running" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.6" opacity=".35"/><g class="spin"><path d="M8 1.8a6.2 6.2 0 0 1 6.2 6.2" fill="none" stroke="currentColor" stroke-width="2.2" stroke-linecap="round"/></g><circle cx="8" cy="8" r="2.4" fill="currentColor"/></symbol>
<symbol id="g-retrying" viewBox="0 0 16 16"><path d="M13.6 8A5.6 5.6 0 1 1 11 3.3" fill="none" stroke="currentColor" stroke-width="1.9" stroke-linecap="round"/><path d="M10.2.6l3.9 2.5-3.6 2.7z" fill="currentColor"/></symbol>
<symbol id="g-you" viewBox="0 0 16 16"><path class="fillme" d="M8 .9L15.1 8 8 15.1.9 8z" fill="currentColor" stroke="currentColor" stroke-width="1.3" stroke-linejoin="round"/><path class="on" d="M7.2 4.2h1.6v4.6H7.2zM7.2 10h1.6v1.7H7.2z"/></symbol>
<symbol id="g-waiting" viewBox="0 0 16 16"><path d="M8 1.4L14.6 8 8 14.6 1.4 8z" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linejoin="round"/><circle cx="8" cy="8" r="1.5" fill="currentColor"/></symbol>
<symbol id="g-failed" viewBox="0 0 16 16"><rect x="1" y="1" width="14" height="14" rx="3" fill="currentColor"/><path class="g-on" d="M5.2 5.2l5.6 5.6M10.8 5.2l-5.6 5.6" stroke-width="1.8" stroke-linecap="round"/></symbol>
<symbol id="g-idle" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2.4 2.45"/></symbol>
<symbol id="g-ifneeded" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.3" stroke-dasharray="2.4 2.45"/><path d="M9.6 4.9L6.2 8l3.4 3.1" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"/></symbol>
<symbol id="g-paused" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M6.3 5.4v5.2M9.7 5.4v5.2" stroke="currentColor" stroke-width="1.7"/></symbol>
<symbol id="g-skipped" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M4.8 8h6.4" stroke="currentColor" stroke-width="1.7"/></symbol>
<symbol id="g-cancelled" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M3.8 12.2l8.4-8.4" stroke="currentColor" stroke-width="1.7"/></symbol>
<symbol id="g-unknown" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.2" fill="none" stroke="currentColor" stroke-width="1.5"/></symbol>
<symbol id="g-info" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6.4" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="M7.2 6.9h1.6v5H7.2zM7.2 4h1.6v1.7H7.2z" fill="currentColor"/></symbol>
<symbol id="g-person" viewBox="0 0 16 16"><circle cx="8" cy="5" r="3.1" fill="none" stroke="currentColor" stroke-width="1.5"/><path d="M2.2 14.4c.5-3 2.8-4.6 5.8-4.6s5.3 1.6 5.8 4.6" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round"/></symbol>
<symbol id="mark" viewBox="0 0 18 18"><path d="M9 1l8 8-8 8-8-8z" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round"/><path d="M5.6 9.2l2.4 2.4 4.4-4.8" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/></symbol>
</defs></svg>`);
