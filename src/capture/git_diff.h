/*
 * git_diff - what changed between two commits of a repository.
 *
 *	struct git_diff diff = GIT_DIFF_INIT;
 *	if (git_has("/home/me/code", &commits, has, &err) == 0 && has[0] && has[1])
 *		git_diff_read(&diff, "/home/me/code", commits.v[0], commits.v[1], &err);
 *	git_diff_release(&diff);
 *
 * Asks git, of which neither the caller's GIT_* variables nor the repository's settings for diff decide
 * what it says. Nothing is written, and nothing fetched.
 */
#ifndef CAPTURE_GIT_DIFF_H
#define CAPTURE_GIT_DIFF_H
#include "base/err.h"
#include "base/str.h"

struct git_change {
	char *path;
	char *old_path; /* of one that was renamed, or NULL */
	bool is_binary; /* lines are not counted */
	int64_t added;	/* lines */
	int64_t removed;
};

struct git_diff {
	struct git_change *v; /* as git orders them, by path */
	size_t n;
	int64_t added;
	int64_t removed;
};

#define GIT_DIFF_INIT                                       \
	{                                                   \
		.v = NULL, .n = 0, .added = 0, .removed = 0 \
	}
void git_diff_release(struct git_diff *diff);

/* Is it the name of a commit: 7 to 64 hexadecimal digits? */
bool git_is_commit_name(const char *text);

/* Which of the commits the repository around directory 'cwd' has: one flag for each. -1 with the reason
 * where there is no repository or no git; takes at most 5 seconds. */
int git_has(const char *cwd, const struct strv *commits, bool *has, struct err *err);

/* What turns 'from' into 'to'; renamed files are one change. Takes at most 5 seconds. */
int git_diff_read(struct git_diff *diff, const char *cwd, const char *from, const char *to,
		  struct err *err);

#endif
