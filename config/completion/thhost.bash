# bash completion for thhost
_thhost() {
	mapfile -t COMPREPLY < <(thhost completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	[ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default 2>/dev/null
}
complete -F _thhost thhost
