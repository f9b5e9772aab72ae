/*
 * adopt_report - what 'adopt' found, as a table for people or as JSON for programs.
 */
#ifndef CLI_ADOPT_REPORT_H
#define CLI_ADOPT_REPORT_H
#include "app/adopt.h"

/* How many models are in 'state'. */
size_t adopt_count(const struct adopt *adopt, enum adopt_state state);

/* What is or will be recorded, what could not be told, what is left out and why, the sum. */
void adopt_as_text(const struct adopt *adopt, struct str *out);

/* What could not be written, and the sum: after a table that was shown before. */
void adopt_sum_as_text(const struct adopt *adopt, struct str *out);

/* {"schema": "thhost.adopt/1", "root", "dir", "dry_run", "found", "passed_over", "counts"} */
void adopt_as_json(const struct adopt *adopt, bool is_dry, struct str *out);

#endif
