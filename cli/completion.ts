import type { Command } from 'commander';

/** A completion script made from the commands themselves, so that it cannot fall behind them. */
export function completionScript(program: Command, shell: 'bash' | 'zsh' | 'fish'): string {
  const words = new Map<string, string[]>();
  const visit = (command: Command, path: string): void => {
    const options = command.options.map(({ long }) => long).filter((long) => long !== undefined);
    words.set(path, [...command.commands.map((one) => one.name()), ...options, '--help']);
    for (const one of command.commands) visit(one, `${path} ${one.name()}`.trim());
  };
  visit(program, '');
  if (shell === 'fish') {
    return [...words]
      .map(([path, list]) => {
        const when =
          path === '' ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${path.split(' ').at(-1) ?? ''}`;
        return `complete -c aats -f -n '${when}' -a '${list.join(' ')}'`;
      })
      .join('\n');
  }
  const cases = [...words].map(([path, list]) => `    '${path}') words='${list.join(' ')}' ;;`).join('\n');
  const body = `_aats() {
  local path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do [[ $word == -* ]] || path="\${path:+$path }$word"; done
  case "$path" in
${cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _aats aats`;
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${body}` : body;
}
