/*
 * width - how many columns a text takes on a terminal.
 *
 * wcwidth() under a locale object of its own: the program itself never leaves the
 * C locale (a decimal comma in a record would be a disaster).
 */
#ifndef BASE_WIDTH_H
#define BASE_WIDTH_H
#include "base/str.h"

/* Columns of 'text'; what is no UTF-8 counts one per byte. */
int display_width(const char *text);

/* 'text' cut to at most 'columns' columns, an ellipsis for what is missing. Fresh memory. */
char *display_cut(const char *text, int columns);

#endif
