import type { ASTNode } from '@marcbachmann/cel-js';
import { parseExpression } from './expressions';
import { dyn, type PlanType } from './plan-types';

/** The type of a path like `inputs.hosts` or `tasks.list.output`, with its records kept; anything computed is `dyn`. */
export function memberType(
  source: string,
  variables: Readonly<Record<string, PlanType>>,
  task: (id: string) => PlanType,
): PlanType {
  const typeOf = (node: ASTNode): PlanType => {
    if (node.op === 'id') return variables[node.args] ?? dyn;
    if (node.op === 'rcall' && node.args[0] === 'filter') return typeOf(node.args[1]);
    if (node.op !== '.') return dyn;
    const [receiver, name] = node.args;
    if (receiver.op === 'id' && receiver.args === 'tasks') return task(name);
    const type = typeOf(receiver);
    return type.is === 'record' ? (type.fields[name] ?? dyn) : dyn;
  };
  return typeOf(parseExpression(source).ast);
}
