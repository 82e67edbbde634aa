// rootmerge completion

import { Argument, Command } from 'commander'
import { completionScript, type Shell, shells } from './completions.ts'
import { withExamples } from './help.ts'
import { referenceOf } from './reference.ts'
import { packageVersion } from './version.ts'
import { write } from './write.ts'

/** rootmerge completion */
export function completionCommand(): Command {
  const command = new Command('completion')
    .description('Print the script by which a shell completes commands, options, packages and paths.')
    .addArgument(new Argument('<shell>', 'the shell').choices(shells))
    .action(async (shell: Shell) => {
      const { makeProgram } = await import('./commands.ts')
      write(completionScript(shell, referenceOf(await makeProgram(packageVersion(), { all: true }))))
    })
  return withExamples(
    command,
    {
      purpose: 'for bash, with bash-completion',
      line: 'completion bash > ~/.local/share/bash-completion/completions/rootmerge',
    },
    { purpose: 'in a directory of $fpath', line: 'completion zsh > ~/.zfunc/_rootmerge' },
    { purpose: 'for fish', line: 'completion fish > ~/.config/fish/completions/rootmerge.fish' },
  )
}
