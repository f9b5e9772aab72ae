/*
 * floor - the least that an append costs: lock, read, temporary file, fsync, rename, fsync of the
 * directory, and nothing else. For tests/bench/append.sh.
 *
 *	floor DIR	what 'thhost record' must do to DIR/training_info.json
 *
 * It inserts 400 bytes in front of the last bracket, which stands for the new entry.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRY 400

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static char *read_record(int dir, size_t *len)
{
	int fd = openat(dir, "training_info.json", O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	need(fd >= 0 && fstat(fd, &st) == 0, "open");
	*len = (size_t)st.st_size;
	text = malloc(*len + 1);
	need(text && read(fd, text, *len + 1) == st.st_size, "read");
	need(close(fd) == 0, "close");
	return text;
}

static void write_record(int dir, const char *text, size_t len)
{
	static char entry[ENTRY];
	int fd = openat(dir, ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	need(fd >= 0, "create");
	for (size_t i = 0; i < ENTRY; i++)
		entry[i] = ' ';
	need(write(fd, text, len - 1) == (ssize_t)len - 1, "write");
	need(write(fd, entry, ENTRY) == ENTRY, "write");
	need(write(fd, text + len - 1, 1) == 1, "write");
	need(fsync(fd) == 0, "fsync");
	need(close(fd) == 0, "close");
	need(renameat(dir, ".new", dir, "training_info.json") == 0, "rename");
	need(fsync(dir) == 0, "fsync");
}

int main(int argc, char **argv)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int dir = open(argc > 1 ? argv[1] : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int lock;
	size_t len;
	char *text;

	need(dir >= 0, "directory");
	lock = openat(dir, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	need(lock >= 0 && fcntl(lock, F_OFD_SETLKW, &range) == 0, "lock");
	text = read_record(dir, &len);
	write_record(dir, text, len);
	free(text);
	return 0;
}
