/*
 * yaml - a YAML document as JSON text.
 */
#ifndef SYS_YAML_H
#define SYS_YAML_H
#include "base/err.h"
#include "base/str.h"

/*
 * The first document of 'text' as compact JSON in 'out' (cleared first). Plain scalars follow the
 * YAML 1.2 core schema plus what PyYAML writes (5.0e-05 is a number; '1e-05' and quoted text stay
 * strings; .nan and .inf come out as NaN and Infinity); an unknown tag (!!python/...) keeps
 * its value as it stands. Aliases are expanded up to a limit; one within what it names is null. A
 * key that is a list or a mapping becomes its JSON text. ERR_INVALID reads "NAME:LINE: ...".
 */
int yaml_to_json(const char *name, const char *text, size_t len, struct str *out, struct err *err);

#endif
