#!/bin/sh
# embed.sh OUT FILE...: write OUT/embedded_data.S and OUT/embedded.c for the Lua library.
# lua/th/lines.lua is named th.lines, lua/new/stage.lua new.stage (src/script/embedded.h), and
# OUT/lua/th/lines.luac, which embed.c has compiled, th.lines too.
set -eu
out=$1
shift
data=$out/embedded_data.S.tmp
table=$out/embedded.c.tmp

printf '\t.section .rodata\n' >"$data"
{
	printf '#include "base/base.h"\n\n#include "script/embedded.h"\n\n'
	i=0
	for file; do
		printf 'extern const char embedded_start_%d[], embedded_end_%d[];\n' $i $i
		i=$((i + 1))
	done
	printf '\nconst struct embedded_file embedded_files[] = {\n'
} >"$table"
i=0
for file; do
	name=$(printf '%s' "${file#"$out"/}" | sed 's/^lua\///; s/\.[a-z]*$//; s,/,.,g')
	compiled=false
	case $file in *.luac) compiled=true ;; esac
	printf '\t.global embedded_start_%d, embedded_end_%d\nembedded_start_%d:\n\t.incbin "%s"\nembedded_end_%d:\n\t.byte 0\n' \
		$i $i $i "$file" $i >>"$data"
	printf '\t{ "%s", embedded_start_%d, embedded_end_%d, %s },\n' "$name" $i $i $compiled >>"$table"
	i=$((i + 1))
done
printf '\t.section .note.GNU-stack,"",%%progbits\n' >>"$data"
printf '};\n\nconst size_t embedded_count = ARRAY_SIZE(embedded_files);\n' >>"$table"
mv "$data" "$out/embedded_data.S"
mv "$table" "$out/embedded.c"
