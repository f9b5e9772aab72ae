/*
 * python - which Python and which libraries a command will use, without starting it.
 *
 * Everything is read from names: the venv's pyvenv.cfg, the interpreter's link,
 * the dist-info directories beside it, conda's metadata. Starting Python for this
 * would take longer than all the rest, and importing torch seconds.
 */
#ifndef CAPTURE_PYTHON_H
#define CAPTURE_PYTHON_H
#include "base/str.h"

/*
 * {"executable","version","venv","conda","packages":{"torch":"2.1.0",...}} for command 'argv'.
 * 'json' stays empty if it starts no Python that can be seen; 'notes' says so.
 */
void capture_python(char *const *argv, struct str *json, struct strv *notes);

#endif
