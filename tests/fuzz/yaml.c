/* YAML to JSON: what comes out is strict JSON, but for NaN. */
#include "base/base.h"

#include "fuzz.h"
#include "sys/json.h"
#include "sys/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json doc = JSON_INIT;
	struct err err = ERR_INIT;
	struct str out = STR_INIT;

	if (yaml_to_json("y", (const char *)data, size, &out, &err) == 0) {
		if (json_parse(&doc, "out", out.buf, out.len, JSON_NONFINITE_OK, &err) < 0)
			fprintf(stderr, "%s\n", err.msg);
		CHECK(err.code == ERR_NONE);
	} else {
		CHECK(err.code == ERR_INVALID && has_prefix(err.msg, "y:") && out.len == 0);
	}
	json_release(&doc);
	str_release(&out);
	return 0;
}
