#include "base/base.h"

#include "sys/meta.h"

#include "base/log.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ACL "system.posix_acl_access"

/* The kernel's own limits for the names of a file's attributes and for one value. */
#define LIST_LIMIT 65536
#define VALUE_LIMIT 65536

/* Errors that mean "not for you" or "not here", which a warning covers. */
static bool is_refusal(int number)
{
	return number == EPERM || number == EACCES || number == EOPNOTSUPP || number == EINVAL;
}

/* The group gets no more than everybody: for when the group or the ACL could not be kept. */
static mode_t without_group(mode_t mode)
{
	mode_t others = mode & S_IRWXO;

	return mode & ~(mode_t)(S_IRWXG & ~(others << 3)) & ~(mode_t)S_ISGID;
}

static int copy_owner(int fd, const struct file_version *old, mode_t *mode, const char *name,
		      struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(err, ERR_FAILED, "cannot look at the new '%s'", name);
	if (st.st_uid == old->uid && st.st_gid == old->gid)
		return 0;
	if (fchown(fd, old->uid, old->gid) == 0)
		return 0;
	if (!is_refusal(errno))
		return err_errno(err, ERR_FAILED, "cannot keep the owner of '%s'", name);
	if (st.st_uid != old->uid) {
		log_warn("'%s' now belongs to uid %u, not %u: only root can keep that", name,
			 st.st_uid, old->uid);
		*mode &= ~(mode_t)S_ISUID;
	}
	if (st.st_gid == old->gid || fchown(fd, (uid_t)-1, old->gid) == 0)
		return 0;
	if (!is_refusal(errno))
		return err_errno(err, ERR_FAILED, "cannot keep the group of '%s'", name);
	log_warn("cannot keep group %u of '%s'", old->gid, name);
	*mode = without_group(*mode);
	return 0;
}

/* One attribute from 'old_fd' to 'fd'. 1: it was refused. */
static int copy_attribute(int fd, int old_fd, const char *attribute, char *value)
{
	ssize_t len = fgetxattr(old_fd, attribute, value, VALUE_LIMIT);

	if (len < 0)
		return errno == ENODATA ? 0 : is_refusal(errno) ? 1 : -1;
	if (fsetxattr(fd, attribute, value, (size_t)len, 0) == 0)
		return 0;
	return is_refusal(errno) ? 1 : -1;
}

static bool is_kept(const char *attribute)
{
	return strcmp(attribute, ACL) == 0 || has_prefix(attribute, "user.") ||
	       strcmp(attribute, "security.selinux") == 0;
}

static int copy_listed(int fd, int old_fd, const char *list, size_t len, mode_t *mode,
		       const char *name)
{
	static char value[VALUE_LIMIT]; /* not from the heap: see journal_end() */
	int result = 0;

	for (const char *at = list; result == 0 && at < list + len; at += strlen(at) + 1) {
		int refused = is_kept(at) ? copy_attribute(fd, old_fd, at, value) : 0;

		if (refused < 0)
			result = -1;
		if (refused <= 0 || has_prefix(at, "security."))
			continue;
		log_warn("cannot keep the attribute '%s' of '%s'", at, name);
		if (strcmp(at, ACL) == 0)
			*mode = without_group(*mode);
	}
	return result;
}

static bool lists(const char *list, size_t len, const char *attribute)
{
	for (const char *at = list; at < list + len; at += strlen(at) + 1)
		if (strcmp(at, attribute) == 0)
			return true;
	return false;
}

static int copy_attributes(int fd, int old_fd, mode_t *mode, const char *name, struct err *err)
{
	static char list[LIST_LIMIT];
	ssize_t len = flistxattr(old_fd, list, LIST_LIMIT);
	int result = 0;

	if (len < 0 && errno != EOPNOTSUPP)
		result = -1;
	else if (len > 0)
		result = copy_listed(fd, old_fd, list, (size_t)len, mode, name);
	/* A directory's default ACL gave the new file one that the old one may not have had. */
	if (result == 0 && len >= 0 && !(len > 0 && lists(list, (size_t)len, ACL)) &&
	    fremovexattr(fd, ACL) < 0 && errno != ENODATA && !is_refusal(errno))
		result = -1;
	if (result < 0)
		err_errno(err, ERR_FAILED, "cannot keep the attributes of '%s'", name);
	return result;
}

int meta_copy(int fd, int old_fd, const struct file_version *old, const char *name, struct err *err)
{
	mode_t mode = old->mode & 07777;

	if (copy_owner(fd, old, &mode, name, err) < 0 ||
	    copy_attributes(fd, old_fd, &mode, name, err) < 0)
		return -1;
	if (fchmod(fd, mode) < 0)
		return err_errno(err, ERR_FAILED, "cannot keep the mode of '%s'", name);
	return 0;
}
