//go:build !windows

package main

import (
	"io"

	"github.com/urfave/cli/v2"
)

// completionWord is the last word of a command line that a shell wants completed.
const completionWord = "--generate-bash-completion"

func completionCommand() *cli.Command {
	script := func(shell, usage, text string) *cli.Command {
		return &cli.Command{Name: shell, Usage: usage, Action: func(c *cli.Context) error {
			_, err := io.WriteString(c.App.Writer, text)
			return err
		}}
	}
	return &cli.Command{
		Name:  "completion",
		Usage: "print a script that makes a shell complete verbs and flags",
		Subcommands: []*cli.Command{
			script("bash", "for bash: source <(millrun completion bash)", bashCompletion),
			script("zsh", "for zsh: source <(millrun completion zsh)", zshCompletion),
			{Name: "fish", Usage: "for fish: millrun completion fish | source", Action: func(c *cli.Context) error {
				text, err := c.App.ToFishCompletion()
				if err != nil {
					return err
				}
				_, err = io.WriteString(c.App.Writer, text)
				return err
			}},
		},
	}
}

const bashCompletion = `_millrun() {
  local cur="${COMP_WORDS[COMP_CWORD]}" line
  if [[ "$cur" == -* ]]; then
    line=("${COMP_WORDS[@]:0:COMP_CWORD}" "$cur")
  else
    line=("${COMP_WORDS[@]:0:COMP_CWORD}")
  fi
  COMPREPLY=($(compgen -W "$("${line[@]}" ` + completionWord + ` 2>/dev/null)" -- "$cur"))
}
complete -o bashdefault -o default -F _millrun millrun
`

const zshCompletion = `#compdef millrun
_millrun() {
  local -a line opts
  line=("${(@)words[1,CURRENT-1]}")
  [[ "${words[CURRENT]}" == -* ]] && line+=("${words[CURRENT]}")
  opts=("${(@f)$("${line[@]}" ` + completionWord + ` 2>/dev/null)}")
  compadd -- "${opts[@]}"
}
compdef _millrun millrun
`
