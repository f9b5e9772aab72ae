/*
 * reading - a line on the terminal while many files are read.
 */
#ifndef CLI_READING_H
#define CLI_READING_H
#include "base/base.h"

/* So many were read; 0: that is all, and the line goes. Shows nothing before a second has passed, and
 * nothing where stderr is no terminal or nothing shall be said. */
void show_reading(size_t n_read);

#endif
