import type { Command, Option } from 'commander';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

interface Words {
  readonly path: string;
  /** What may follow: commands and choices first, then options. */
  readonly commands: readonly { readonly word: string; readonly about: string }[];
  readonly options: readonly {
    readonly word: string;
    readonly about: string;
    readonly takesValue: boolean;
    readonly choices: readonly string[];
  }[];
  /** Its argument is a file. */
  readonly takesFile: boolean;
}

/** A completion script made from the commands themselves, so that it cannot fall behind them. */
export const completionScript = (program: Command, shell: Shell): string =>
  ({ bash: bashScript, zsh: zshScript, fish: fishScript })[shell](wordsOf(program, ''));

const wordsOf = (command: Command, path: string): readonly Words[] => [
  {
    path,
    commands: [
      ...command.commands.map((one) => ({ word: one.name(), about: one.description() })),
      ...command.registeredArguments.flatMap(({ argChoices }) =>
        (argChoices ?? []).map((word) => ({ word, about: '' })),
      ),
    ],
    options: [
      ...[...command.options, ...inheritedOptions(command)].flatMap(
        ({ long, description, required, argChoices = [] }) =>
          long ? [{ word: long, about: description, takesValue: required, choices: argChoices }] : [],
      ),
      { word: '--help', about: 'show this command’s help', takesValue: false, choices: [] },
    ],
    takesFile: command.registeredArguments.some((one) => one.name() === 'file'),
  },
  ...command.commands.flatMap((one) => wordsOf(one, `${path} ${one.name()}`.trim())),
];

const inheritedOptions = ({ parent }: Command): readonly Option[] =>
  parent === null ? [] : [...parent.options.filter(({ long }) => long !== '--version'), ...inheritedOptions(parent)];

/** Finds the command that the line names so far; the word after an option that takes a value is no command. */
function bashScript(all: readonly Words[]): string {
  const valued = all.flatMap(({ options }) => options.filter(({ takesValue }) => takesValue));
  const withValue = [...new Set(valued.map(({ word }) => word))].join('|');
  const chosen = new Map(valued.filter(({ choices }) => choices.length > 0).map((one) => [one.word, one.choices]));
  const choices = [...chosen].map(
    ([word, list]) => `    ${word}) COMPREPLY=($(compgen -W '${list.join(' ')}' -- "$current")) ; return ;;\n`,
  );
  const cases = all.map(({ path, commands, options, takesFile }) => {
    const words = [...commands, ...options].map(({ word }) => word).join(' ');
    return `    '${path}') words='${words}'${takesFile ? ' files=1' : ''} ;;`;
  });
  const paths = all.flatMap(({ path }) => (path === '' ? [] : [`'${path}'`])).join('|');
  return `_aats() {
  local path='' word words='' files='' previous='' current="\${COMP_WORDS[COMP_CWORD]}"
  for word in "\${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
    case "$previous" in ${withValue}|-o|-i) previous='' ; continue ;; esac
    previous="$word"
    case "\${path:+$path }$word" in ${paths}) path="\${path:+$path }$word" ;; esac
  done
  case "$previous" in
    --output|-o) COMPREPLY=($(compgen -f -- "$current")) ; return ;;
${choices.join('')}    ${withValue}|-i) COMPREPLY=() ; return ;;
  esac
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [[ -n $files && $current != -* ]] && COMPREPLY+=($(compgen -f -- "$current"))
}
complete -o filenames -F _aats aats`;
}

const zshScript = (all: readonly Words[]): string =>
  `#compdef aats\nautoload -U +X bashcompinit && bashcompinit\n${bashScript(all)}`;

const quoted = (text: string): string => `'${text.replace(/\\/g, '\\\\').replace(/'/g, "\\'")}'`;

function fishScript(all: readonly Words[]): string {
  const lines = all.flatMap(({ path, commands, options, takesFile }) => {
    const condition = `-n '__aats_at ${path}'`;
    return [
      ...commands.map(({ word, about }) => `complete -c aats -f ${condition} -a ${word} -d ${quoted(about)}`),
      ...options.map(
        ({ word, about, takesValue, choices }) =>
          `complete -c aats ${takesFile ? '' : '-f '}${condition} -l ${word.slice(2)}${takesValue ? ' -r' : ''}${choices.length > 0 ? ` -a '${choices.join(' ')}'` : ''} -d ${quoted(about)}`,
      ),
    ];
  });
  const groups = all.filter(({ path, commands }) => path !== '' && !path.includes(' ') && commands.length > 0);
  return `function __aats_at
  set -l words
  for word in (commandline -opc)[2..-1]
    string match -q -- '-*' $word; or set -a words $word
  end
  switch "$words[1]"
    case ${groups.map(({ path }) => path).join(' ')}
      test "$argv" = "$words[1..2]"
    case '*'
      test "$argv" = "$words[1]"
  end
end
${lines.join('\n')}`;
}
