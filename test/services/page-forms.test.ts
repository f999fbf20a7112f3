import { differences } from '../../services/hitl/page/differences';
import { type EditableField, elementAt, linesOf, readEdits } from '../../services/hitl/page/editable';
import { editableView } from '../../services/hitl/page/editable-view';
import { foreign, markup } from '../../services/hitl/page/html';
import { markdown } from '../../services/hitl/page/markdown';
import { valueView } from '../../services/hitl/page/values';

const upgrades: EditableField = {
  path: '/upgrades',
  schema: {
    type: 'array',
    items: {
      type: 'object',
      required: ['name', 'to'],
      properties: { name: { type: 'string' }, to: { type: 'string' } },
    },
  },
  proposed: [
    { name: 'ms', to: '2.1.3' },
    { name: 'yaml', to: '2.9.1' },
  ],
};
const evidence = new Map([
  ['ms', { name: 'ms', to: '2.1.3', risk: 'low' }],
  ['chalk', { name: 'chalk', to: '5.6.2', risk: 'high' }],
  ['odd', { name: 'odd' }],
]);
const lines = linesOf(upgrades, evidence);
const json = JSON.stringify(upgrades.proposed, null, 2);

describe('a list that a person may change', () => {
  it('offers what was proposed, then what the team left out and could be taken on', () => {
    expect(lines).toEqual([
      { value: { name: 'ms', to: '2.1.3' }, proposed: true },
      { value: { name: 'yaml', to: '2.9.1' }, proposed: true },
      { value: { name: 'chalk', to: '5.6.2' }, proposed: false },
    ]);
  });

  it('changes nothing when nothing was touched', () => {
    const form = { 'e0.line': ['0', '1'], 'e0.0.to': '2.1.3', 'e0.1.to': '2.9.1', 'e0.2.to': '5.6.2', 'e0.json': json };
    expect(readEdits([upgrades], [lines], form)).toEqual({ edits: [], problems: [] });
  });

  it('takes lines off and on, and changed fields', () => {
    const form = { 'e0.line': ['1', '2'], 'e0.1.to': '2.9.0', 'e0.2.to': '5.6.2', 'e0.json': json };
    expect(readEdits([upgrades], [lines], form).edits).toEqual([
      {
        path: '/upgrades',
        value: [
          { name: 'yaml', to: '2.9.0' },
          { name: 'chalk', to: '5.6.2' },
        ],
      },
    ]);
  });

  it('lets JSON that was written win over the lines, and names JSON that is none', () => {
    expect(readEdits([upgrades], [lines], { 'e0.line': '0', 'e0.json': '[{"name":"a","to":"1"}]' }).edits).toEqual([
      { path: '/upgrades', value: [{ name: 'a', to: '1' }] },
    ]);
    expect(readEdits([upgrades], [lines], { 'e0.json': '[{' }).problems).toEqual([
      { field: 'e0-json', message: 'Upgrades: this is not JSON' },
    ]);
  });

  it('keeps a number a number', () => {
    const seconds: EditableField = { path: '/timeoutSeconds', schema: { type: 'integer' }, proposed: 30 };
    expect(readEdits([seconds], [[]], { e0: '45' }).edits).toEqual([{ path: '/timeoutSeconds', value: 45 }]);
    for (const e0 of ['', 'soon'])
      expect(readEdits([seconds], [[]], { e0 }).problems).toEqual([
        { field: 'e0', message: 'Timeout seconds: this is not a number' },
      ]);
  });

  it('says what is wrong where it was written', () => {
    const fields: EditableField[] = [
      upgrades,
      { path: '/count', schema: { type: 'integer' }, proposed: 1 },
      { path: '/how', schema: { type: 'object' }, proposed: {} },
    ];
    const form = { 'e0.line': ['1', '2'], 'e0.json': json };
    const at = (pointer: string): string => elementAt(pointer, fields, form);
    expect(['/upgrades/1/to', '/upgrades', '/count', '/how/deep', '/other'].map(at)).toEqual([
      'e0-2',
      'e0',
      'e1',
      'e2-json',
      'decide',
    ]);
    expect(elementAt('/upgrades/0', fields, { 'e0.json': '[1]' })).toBe('e0-json');
    const wrong = [{ field: 'e1', message: 'Count: 9 is greater than 5.' }];
    expect(editableView(fields[1] ?? upgrades, 1, new Map(), false, wrong, { e1: '9' }).text).toContain(
      'value="9" autocomplete="off"><p class="err" id="e1-e">',
    );
  });

  it('offers the choices of a value, and keeps one that is none of them', () => {
    const region: EditableField = { path: '/region', schema: { enum: ['eu', 'us'] }, proposed: 'moon' };
    const { text } = editableView(region, 0, new Map(), false, []);
    expect(text).toMatch(/<select .*<option value="moon">moon<\/option><option value="eu">/);
  });

  it('says line by line what changed since it was seen', () => {
    expect(
      differences([upgrades], {
        '/upgrades': [
          { name: 'ms', to: '2.1.2' },
          { name: 'chalk', to: '5' },
        ],
      }),
    ).toEqual([
      ['ms', '2.1.2', '2.1.3'],
      ['chalk', '5', 'not in the list'],
      ['yaml', 'not in the list', '2.9.1'],
    ]);
  });
});

describe('text on the page', () => {
  it('escapes what goes into a template unless it is HTML already', () => {
    expect(markup`<p title="${'"'}">${'<script>'}${[markup`<b>x</b>`, ' & ', 1]}${undefined}${false}</p>`.text).toBe(
      '<p title="&quot;">&lt;script&gt;<b>x</b> &amp; 1</p>',
    );
  });

  it('makes characters visible that hide or turn text', () => {
    expect(foreign('safe\u202e\u200b').text).toBe(
      'safe<span class="invis">U+202E</span><span class="invis">U+200B</span>',
    );
  });

  it('shows a value that holds lines as lines, and one that does not in one line', () => {
    expect(valueView({ at: { x: 1, y: 2 } }).text).toContain(
      '<dd><span class="quiet">X</span> 1, <span class="quiet">Y</span> 2</dd>',
    );
    expect(valueView({ draft: { text: 'a\nb', score: 1 } }).text).toContain(
      '<dd><dl class="kv"><dt>Text</dt><dd><pre class="text">a\nb</pre></dd><dt>Score</dt><dd>1</dd></dl></dd>',
    );
  });

  it('shows Markdown of agents without anything that loads or leads away', () => {
    const { text } = markdown(
      '# Report\n\nTwo **of** `three`\\_s.\n\n| a | b |\n| - | - |\n| 1 \\| 2 | <i> |\n\n- [x](https://evil.example)\n- ![y](z)\n\n```js\n<b>\n```\n',
    );
    expect(text).toContain('<h3>Report</h3><p>Two <b>of</b> <code>three</code>_s.</p>');
    expect(text).toContain('<td>1 | 2</td><td>&lt;i&gt;</td>');
    expect(text).toContain('<li>[x](https://evil.example)</li>');
    expect(text).not.toMatch(/<a |<img|<i>|<b>\n/);
  });
});
