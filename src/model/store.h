/*
 * store - the only writer of training_info.json.
 *
 * store_append() is lock, read, check, change, write, rename, sync, unlock, by
 * the protocol in docs/reliability.md. After it the file is the old document or
 * the new one, whatever happened. A file that does not parse or does not validate
 * is never overwritten; the caller spools the entry (store_spool()).
 */
#ifndef MODEL_STORE_H
#define MODEL_STORE_H
#include "base/err.h"
#include "base/str.h"
#include "model/info.h"
#include "sys/file.h"

#define RECORD_NAME "training_info.json"
#define RECORD_LOCK ".training_info.json.lock"
#define RECORD_BACKUP ".training_info.json.bak"

enum store_result {
	STORE_UNCHANGED =
		-1, /* see err; the entry is not in the file. ERR_NOT_DURABLE: not by us, but
				 another program may have read it in the moment it was there */
	STORE_DONE = 0,
	STORE_NOT_DURABLE = 1, /* in place, but the directory could not be synced; see err */
	STORE_ALREADY = 2,     /* the entry was there; the file was rewritten as it was */
	STORE_TAKEN = 3,       /* 'only_new': there is a record; nothing was written */
};

struct store_request {
	int dirfd;	   /* the stage directory */
	const char *where; /* "exp_1/stage1_hrds", for messages */
	const char *path;  /* path of the record as the user would type it, for messages */
	const struct info_append *append;
	int lock_timeout_ms;
	bool only_new; /* make a record where there is none; one that is there wins */
};

enum store_result store_append(const struct store_request *request, struct info_summary *after,
			       struct err *err);

/* Read the record of stage directory 'dirfd' without a lock: always a whole document. */
int store_read(int dirfd, const char *path, struct str *out, struct err *err);

/* A string at the top of that record in fresh memory, or NULL: not there, or no record. Reads no more
 * than the first few members where that is enough; store_append() looks at all. */
char *store_string(int dirfd, const char *path, const char *key);

/*
 * Put the request into the spool because of 'why' (from store_append()); 'where' gets the path.
 * If no place takes it, the entry is printed between marks on stderr and -1 returned.
 */
int store_spool(const struct store_request *request, const char *stage_dir, const char *run_id,
		const struct err *why, struct str *where, struct err *err);

/* Would store_unspool() understand this file? ERR_INVALID says why not; else as file_read_path(). */
int store_check_spooled(const char *spool_path, struct err *err);

/*
 * True as soon as the record is another than 'version'; false at once if that is older than a few
 * seconds, else after two: a program may be writing it in place.
 */
bool store_changes_soon(int dirfd, const struct file_version *version);

/* Put one spooled file into its record and remove it from the spool. Idempotent. */
enum store_result store_unspool(const char *spool_path, int lock_timeout_ms,
				struct info_summary *after, struct err *err);

#endif
