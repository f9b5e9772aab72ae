/*
 * report - what is said after a training was recorded.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H
#include "app/record.h"

/* "recorded  exp_1/stage1_hrds  entry 1" and what is in it. */
void report_recorded(const struct draft *draft, const struct record_outcome *outcome,
		     struct str *out);

/* {"schema": "thhost.record/1", "ref", "path", "entry", ...} */
void report_recorded_json(const struct draft *draft, const struct record_outcome *outcome,
			  struct str *out);

#endif
