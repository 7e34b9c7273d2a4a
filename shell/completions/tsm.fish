# tsm.fish - completion of tsm for fish: in a completions directory, or `tsm completions fish | source`.
# What may stand where is decided by `tsm complete`, which prints VALUE<TAB>ABOUT, and <TAB>WHAT for what fish knows best.

function __tsm_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct)
    set -l tab (printf '\t')
    # The option that a value is joined to stays in front of it.
    set -l option (string match -r -- '^--[^=]*=' "$current")
    set -l value (string replace -r -- '^--[^=]*=' '' "$current")
    for line in (command tsm complete fish (count $typed) -- $typed "$current" 2>/dev/null)
        switch $line
            case "$tab"files
                for path in (__fish_complete_path "$value")
                    printf '%s%s\n' "$option" $path
                end
            case "$tab"dirs
                for path in (__fish_complete_directories "$value" '')
                    printf '%s%s\n' "$option" $path
                end
            case "$tab"commands
                __fish_complete_command
            case "$tab"inside"$tab*"
                set -l first (math 1 + (string replace -r -- '.*\t' '' $line))
                complete -C (string join ' ' -- (string escape -- $typed[$first..-1]) $current)
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c tsm -f -k -a '(__tsm_complete)'
