function __thhost_words
	set -l words (commandline -opc) (commandline -ct)
	thhost completion words -- $words[2..-1] 2>/dev/null
end
complete -c thhost -a '(__thhost_words)'
