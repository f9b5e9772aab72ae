/* A run's file in the journal: read, printed, read again. */
#include "base/base.h"

#include "fuzz.h"
#include "model/run_text.h"
#include "sys/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run;
	struct run again;
	struct err err = ERR_INIT;
	struct str first = STR_INIT;
	struct str second = STR_INIT;

	run_init(&run);
	run_init(&again);
	if (run_parse("run", (const char *)data, size, &run, &err) == 0) {
		run_print(&run, &first, 2);
		CHECK(run_parse("again", first.buf, first.len, &again, &err) == 0);
		run_print(&again, &second, 2);
		CHECK(strcmp(first.buf, second.buf) == 0);
	} else {
		CHECK(err.code == ERR_INVALID && has_prefix(err.msg, "run:"));
	}
	run_release(&run);
	run_release(&again);
	str_release(&first);
	str_release(&second);
	return 0;
}
