import type { Difference } from '../../agents/dependency-review/difference';
import { assessRisk } from '../../agents/dependency-review/risk';

const undeclared: Difference = {
  jump: 'patch',
  files: { added: [], removed: [], changed: ['index.js'] },
  size: [1000, 1000],
  licence: ['MIT', 'MIT'],
  engines: ['*', '*'],
  installScripts: [],
  newDependencies: [],
  newMaintainers: [],
  lostMaintainers: [],
  becameModule: false,
};
const harmless: Difference = { ...undeclared, api: { added: [], removed: [], changed: [] } };

describe('risk of an upgrade', () => {
  it('is low when nothing speaks against it', () => {
    expect(assessRisk(harmless, '20.0.0')).toEqual({ risk: 'low', reasons: [] });
    expect(
      assessRisk({ ...harmless, jump: 'minor', api: { added: ['x'], removed: [], changed: [] } }, '20.0.0').risk,
    ).toBe('low');
  });

  const cases: readonly [Partial<Difference>, 'medium' | 'high', string][] = [
    [{ installScripts: ['postinstall'] }, 'high', 'runs a new or changed install script: postinstall'],
    [{ licence: ['MIT', 'BUSL-1.1'] }, 'high', 'the licence changes from MIT to BUSL-1.1'],
    [{ engines: ['*', '>=22'] }, 'high', 'needs Node >=22, and this is 20.0.0'],
    [{ becameModule: true }, 'high', 'is an ES module only, and was not'],
    [{ api: { added: [], removed: ['f'], changed: [] } }, 'high', 'no longer exports f'],
    [{ newMaintainers: ['m'], lostMaintainers: ['a', 'b'] }, 'high', 'maintainers change from a, b to m'],
    [{ deprecated: 'use y' }, 'high', 'is deprecated: use y'],
    [{ jump: 'major' }, 'medium', 'a major version'],
    [{ api: { added: [], removed: [], changed: ['f'] } }, 'medium', 'declares f differently'],
    [{ newDependencies: ['left-pad'] }, 'medium', 'brings new dependencies: left-pad'],
    [{ newMaintainers: ['m'] }, 'medium', 'has new maintainers: m'],
    [{ ageDays: 2 }, 'medium', 'was published only 2 days ago'],
    [{ size: [10_000, 100_000] }, 'medium', 'is more than twice as large'],
  ];
  it.each(cases)('%j is %s: %s', (change, risk, reason) => {
    expect(assessRisk({ ...harmless, ...change }, '20.0.0')).toEqual({ risk, reasons: [reason] });
  });

  it('is high for a major version that declares nothing to compare', () => {
    expect(assessRisk({ ...undeclared, jump: 'major' }, '20.0.0').risk).toBe('high');
  });

  it('is that of the worst reason, and gives them all', () => {
    const { risk, reasons } = assessRisk({ ...harmless, jump: 'major', becameModule: true }, '20.0.0');
    expect(risk).toBe('high');
    expect(reasons).toHaveLength(2);
  });
});
