import type { Browser, BrowserContext, Page } from 'playwright-core';
import { demoAgents } from '../../stack/app';
import { currentCode, type DemoPerson } from '../../stack/demo-codes';
import { hasEnded, type PlanAnswer } from '../../stack/demo-plan';
import { faultsOf, openBrowser, openWindow } from '../support/browser';
import { startSystem, type System, until } from '../support/system';

let system: System;
let browser: Browser;
beforeAll(async () => {
  system = await startSystem({ agents: demoAgents.filter(({ name }) => name === 'helper') });
  browser = await openBrowser();
}, 240_000);
afterAll(async () => {
  await browser.close();
  await system.stop();
}, 60_000);

const found = [
  { name: 'ms', from: '2.1.2', to: '2.1.3', risk: 'low', passed: true, summary: 'A patch version.' },
  { name: 'semver', from: '7.5.4', to: '7.8.6', risk: 'medium', passed: true, summary: 'A minor version.' },
  { name: 'yaml', from: '2.4.0', to: '2.9.1', risk: 'low', passed: true, summary: 'A minor version.' },
  { name: 'chalk', from: '4.1.2', to: '6.0.1', risk: 'high', passed: false, summary: 'It is an ES module now.' },
];
const line = { type: 'object', properties: { name: { type: 'string' }, to: { type: 'string' } } };
const plan = {
  name: 'page-journey',
  title: `Review four packages ${'OfANameThatIsOneLongWord'.repeat(8)}`,
  inputs: { found: { type: 'array', items: { type: 'object' } } },
  tasks: [
    {
      id: 'look',
      title: 'Look at ${{ item.name }}',
      capability: 'echo',
      forEach: { in: '${{ inputs.found }}' },
      with: Object.fromEntries(Object.keys(found[0] ?? {}).map((key) => [key, `\${{ item.${key} }}`])),
    },
    {
      id: 'apply',
      title: 'Apply the accepted upgrades',
      capability: 'echo',
      needs: ['look'],
      with: { upgrades: '${{ tasks.look.output.filter(l, l.passed).map(l, {"name": l.name, "to": l.to}) }}' },
      approval: {
        at: 'before',
        title: 'Which upgrades shall we take?',
        by: ['group:maintainers'],
        editable: [
          { path: '/upgrades', schema: { type: 'array', minItems: 1, items: { ...line, required: ['name', 'to'] } } },
        ],
      },
    },
    {
      id: 'tell',
      title: 'Tell what was done',
      capability: 'echo',
      needs: ['apply'],
      with: { done: '${{ tasks.apply.output.upgrades }}' },
    },
  ],
};

/** A plan that waits for a person; its id. */
async function waitingPlan(name: string): Promise<string> {
  const jonas = await system.session('jonas');
  const planId = `${name}-${Date.now().toString(36)}`;
  await jonas.post('/v1/plans', { planId, plan: { document: JSON.stringify(plan) }, inputs: { found } });
  await until(
    async () => (await jonas.get(`/v1/plans/${planId}`)) as PlanAnswer,
    (answer) => hasEnded(answer) || answer.plan.waitingFor.length > 0,
    60,
  );
  return planId;
}

async function signIn(page: Page, person: DemoPerson, atCode?: () => Promise<void>): Promise<void> {
  await page.goto(`${system.pageUrl}/inbox`);
  await page.getByLabel('Name').fill(person.name);
  await page.getByLabel('Password').fill(person.password);
  await page.getByRole('button', { name: 'Go on' }).click();
  await page.getByLabel('Code').waitFor();
  await atCode?.();
  await page.getByLabel('Code').fill(currentCode(person).code);
  await page.getByRole('button', { name: 'Sign in' }).click();
  const inbox = page.getByRole('heading', { level: 1, name: 'Inbox' });
  const isUsed = page.getByText('This code was used already');
  await inbox.or(isUsed).waitFor();
  // A code counts once: the one of this half minute may have been used by another test.
  if (await isUsed.isVisible()) {
    const used = currentCode(person).code;
    await until(
      () => Promise.resolve(currentCode(person).code),
      (code) => code !== used,
      31,
    );
    await page.getByLabel('Code').fill(currentCode(person).code);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }
  await inbox.waitFor();
}

describe('the page', () => {
  let window: BrowserContext;
  let page: Page;
  const noise: string[] = [];
  beforeAll(async () => {
    window = await openWindow(browser);
    page = await window.newPage();
    // Errors of scripts and violations of the content policy are both told here.
    page.on('console', (message) => {
      if (message.type() === 'error') noise.push(message.text());
    });
    page.on('pageerror', (error) => {
      noise.push(error.message);
    });
  });
  afterAll(() => window.close());

  it('takes a person from sign-in to an edited approval, and shows how the plan goes on', async () => {
    const planId = await waitingPlan('journey');
    await page.goto(`${system.pageUrl}/plans/${planId}`);
    expect(page.url()).toContain('/sign-in?next=');
    expect(await faultsOf(page, '01-sign-in')).toEqual([]);
    await signIn(page, system.people.mara, async () => {
      expect(await faultsOf(page, '01-sign-in-code')).toEqual([]);
    });
    // The list of requests is a little behind them.
    await until(
      async () => {
        await page.reload();
        return page.locator(`a[href="/approvals/${planId}/apply/1"]`).count();
      },
      (count) => count > 0,
      30,
    );
    expect(await page.title()).toMatch(/^\(\d+\) Inbox/);
    expect(await faultsOf(page, '02-inbox')).toEqual([]);

    await page.locator(`a[href="/approvals/${planId}/apply/1"]`).click();
    await page.getByRole('heading', { level: 1, name: 'Which upgrades shall we take?' }).waitFor();
    expect(await page.locator('.ups input[type=checkbox]').count()).toBe(4);
    expect(await page.getByLabel('chalk', { exact: true }).isChecked()).toBe(false);
    expect(await faultsOf(page, '03-approval')).toEqual([]);

    await page.getByLabel('semver', { exact: true }).uncheck();
    await page.getByLabel('To of yaml').fill('2.9.0');
    await page.getByRole('button', { name: 'Approve my list of 2' }).click();
    await page.getByRole('heading', { name: 'Your approval counted. The plan goes on.' }).waitFor();
    expect(await page.getByText('Mara, on this page').isVisible()).toBe(true);
    expect(await faultsOf(page, '04-recorded')).toEqual([]);

    await page.getByRole('link', { name: 'Watch the plan' }).click();
    await page.locator('#p-head .s-done').waitFor({ timeout: 30_000 });
    expect(await faultsOf(page, '05-plan')).toEqual([]);
    const done = (await (await system.session('jonas')).get(`/v1/plans/${planId}/tasks/apply`)) as { output: unknown };
    expect(done.output).toEqual({
      upgrades: [
        { name: 'ms', to: '2.1.3' },
        { name: 'yaml', to: '2.9.0' },
      ],
    });
    await page.goto(`${system.pageUrl}/plans`);
    expect(await faultsOf(page, '06-plans')).toEqual([]);
    await page.goto(`${system.pageUrl}/inbox?view=done`);
    expect(await faultsOf(page, '07-inbox-done')).toEqual([]);
  }, 300_000);

  it('moves by itself while a plan runs', async () => {
    const planId = await waitingPlan('live');
    await page.goto(`${system.pageUrl}/plans/${planId}`);
    await page.locator('#p-head .s-you').waitFor();
    expect(await faultsOf(page, '08-plan-waiting')).toEqual([]);
    const other = await window.newPage();
    await other.goto(`${system.pageUrl}/approvals/${planId}/apply/1`);
    await other.getByRole('button', { name: 'Approve 3 upgrades' }).click();
    await other.getByText('Your approval counted').waitFor();
    await page.locator('#p-head .s-done').waitFor({ timeout: 30_000 });
    await other.close();
  }, 240_000);

  it('keeps what was typed when an answer cannot be sent, and says where', async () => {
    const planId = await waitingPlan('reason');
    await page.goto(`${system.pageUrl}/approvals/${planId}/apply/1`);
    await page.getByLabel('ms', { exact: true }).uncheck();
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByRole('link', { name: 'Say why you reject it' }).waitFor();
    expect(await page.getByLabel('ms', { exact: true }).isChecked()).toBe(false);
    expect(await faultsOf(page, '09-approval-error')).toEqual([]);
    await page.getByLabel('Reason').fill('Not this week');
    await page.getByRole('button', { name: 'Reject' }).click();
    await page.getByText('Your rejection counted').waitFor();
  }, 240_000);

  it('says when it is not live, and keeps what is being typed', async () => {
    const planId = await waitingPlan('offline');
    await page.goto(`${system.pageUrl}/approvals/${planId}/apply/1`);
    await page.getByLabel('ms', { exact: true }).uncheck();
    await page.getByLabel('Reason').fill('Half a sen');
    const startAgain = await system.takeDown('hitl');
    await page.getByRole('heading', { name: /^Not live since \d\d:\d\d:\d\d/ }).waitFor();
    expect(await faultsOf(page, '11-not-live')).toEqual([]);
    await page.getByRole('button', { name: 'Approve my list of 2' }).click();
    await page.getByLabel('Reason').focus();
    startAgain();
    await page.locator('#offline').waitFor({ state: 'hidden', timeout: 30_000 });
    await page.keyboard.type('tence');
    expect(await page.getByLabel('Reason').inputValue()).toBe('Half a sentence');
    await page.getByRole('button', { name: 'Approve my list of 2' }).click();
    await page.getByText('Your approval counted').waitFor();
  }, 240_000);

  it('keeps what was typed when the sign-in has ended meanwhile, and sends it after the next one', async () => {
    const planId = await waitingPlan('late');
    await page.goto(`${system.pageUrl}/approvals/${planId}/apply/1`);
    await page.getByLabel('Reason').fill('Thought about it for hours');
    const cookies = await window.cookies();
    await window.clearCookies();
    await page.getByRole('button', { name: 'Approve 3 upgrades' }).click();
    await page.getByRole('heading', { name: 'Your sign-in has ended' }).waitFor();
    expect(await page.getByLabel('Reason').inputValue()).toBe('Thought about it for hours');
    await window.addCookies(cookies);
    await page.getByRole('button', { name: 'Approve 3 upgrades' }).click();
    await page.getByText('Your approval counted').waitFor();
  }, 240_000);

  it('moves to what a key stands for, and no key answers', async () => {
    const planId = await waitingPlan('keys');
    await page.goto(`${system.pageUrl}/approvals/${planId}/apply/1`);
    const focused = (): Promise<string> => page.evaluate<string>('document.activeElement.value');
    await page.keyboard.press('a');
    expect(await focused()).toBe('approve');
    await page.keyboard.press('r');
    expect(await focused()).toBe('reject');
    await page.keyboard.press('j');
    await page.keyboard.press('x');
    await page.getByRole('button', { name: 'Approve my list of 2' }).waitFor();
    await page.getByLabel('Reason').fill('a r t are only letters here');
    expect(page.url()).toContain(`/approvals/${planId}`);
    await page.locator('h1').click();
    await page.keyboard.press('?');
    await page.getByRole('heading', { name: 'Keys' }).waitFor();
    expect(await faultsOf(page, '12-keys')).toEqual([]);
    await page.keyboard.press('Escape');
    await page.keyboard.press('g');
    await page.keyboard.press('a');
    await page.getByRole('heading', { level: 1, name: 'Agents' }).waitFor();
    await page.getByRole('cell', { name: 'helper', exact: true }).waitFor();
    expect(await faultsOf(page, '13-agents')).toEqual([]);
    await page.goto(`${system.pageUrl}/settings`);
    expect(await faultsOf(page, '14-settings')).toEqual([]);
  }, 240_000);

  it('starts a plan from a form that is made of what the plan asks for', async () => {
    const admin = await openWindow(browser);
    const start = await admin.newPage();
    await signIn(start, system.people.jonas);
    await start.goto(`${system.pageUrl}/plans`);
    await start.getByRole('link', { name: 'Start a plan' }).click();
    await start.getByLabel('The plan').fill(JSON.stringify({ ...plan, tasks: [{ id: 'x' }] }));
    await start.getByRole('button', { name: 'Read it' }).click();
    await start.getByRole('heading', { name: /^Not started: / }).waitFor();
    expect(await faultsOf(start, '15-start-wrong')).toEqual([]);
    await start.getByLabel('The plan').fill(JSON.stringify(plan));
    await start.getByRole('button', { name: 'Read it' }).click();
    await start.getByLabel('Found').fill(JSON.stringify(found));
    await start.getByRole('button', { name: 'Only show what would happen' }).click();
    await start.getByText('Which upgrades shall we take?: anybody of maintainers').waitFor();
    expect(await faultsOf(start, '16-start')).toEqual([]);
    await start.getByRole('button', { name: 'Start', exact: true }).click();
    await start.locator('#p-head .s-waiting').waitFor({ timeout: 30_000 });
    await start.getByRole('link', { name: 'As text' }).click();
    await start.getByText('waiting for anybody of maintainers').first().waitFor();
    expect(await faultsOf(start, '17-plan-text')).toEqual([]);
    await admin.close();
  }, 240_000);

  it('says what is not there', async () => {
    const answer = await page.goto(`${system.pageUrl}/plans/no-such-plan`);
    expect(answer?.status()).toBe(404);
    await page.getByRole('heading', { level: 1, name: 'There is no such plan' }).waitFor();
    expect(await faultsOf(page, '10-error')).toEqual([]);
    // A browser reports each 404 that it was asked to open, and each try while the page was away.
    expect(noise.filter((text) => !/404|422|ERR_/.test(text))).toEqual([]);
  }, 60_000);

  it('works without a script', async () => {
    const planId = await waitingPlan('plain');
    const plain = await openWindow(browser, { script: false });
    const bare = await plain.newPage();
    await signIn(bare, system.people.ana);
    await bare.goto(`${system.pageUrl}/approvals/${planId}/apply/1`);
    await bare.getByLabel('yaml', { exact: true }).uncheck();
    await bare.getByRole('button', { name: 'Approve 3 upgrades' }).click();
    // No script said what the edit means, so the next page does, and nothing was sent.
    await bare.getByRole('heading', { name: 'You changed what was proposed. Nothing was sent yet.' }).waitFor();
    expect(await bare.getByLabel('yaml', { exact: true }).isChecked()).toBe(false);
    await bare.getByRole('button', { name: 'Approve my list of 2' }).click();
    await bare.getByText('Your approval counted').waitFor();
    await bare.locator('details.menu > summary').click();
    await bare.getByRole('button', { name: 'Sign out' }).click();
    await bare.getByText('You are signed out').waitFor();
    await bare.goto(`${system.pageUrl}/inbox`);
    expect(bare.url()).toContain('/sign-in');
    await plain.close();
  }, 240_000);
});
