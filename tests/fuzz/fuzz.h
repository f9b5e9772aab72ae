/*
 * fuzz - what the harnesses share.
 *
 * Each harness is a libFuzzer target: it hands arbitrary bytes to one reader of
 * thhost and insists, with CHECK(), on what that reader promises. `make fuzz`
 * builds them into build/fuzz/NAME; their seeds are in seeds/NAME.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H
#include "base/base.h"

/* A promise that does not hold ends the process: libFuzzer keeps the input. */
#define CHECK(condition)                                                                  \
	do {                                                                              \
		if (!(condition)) {                                                       \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, \
				#condition);                                              \
			abort();                                                          \
		}                                                                         \
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A number that depends on the whole input, to choose among variants: a crash repeats. */
static inline uint32_t fuzz_hash(const uint8_t *data, size_t size)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < size; i++)
		hash = (uint32_t)((hash ^ data[i]) * (uint64_t)16777619u);
	return hash;
}

#endif
