/*
 * batch_floor - the least that the records of a batch cost: for each file its directory, a lock, a
 * temporary file, fsync, rename, fsync of the directory, and nothing else. For tests/bench/batch.sh.
 *
 *	batch_floor DIR N FILE		writes what is in FILE to DIR/0 to DIR/N-1
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static char *read_all(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	need(fd >= 0 && fstat(fd, &st) == 0, path);
	*len = (size_t)st.st_size;
	text = malloc(*len + 1);
	need(text && read(fd, text, *len + 1) == st.st_size, "read");
	need(close(fd) == 0, "close");
	return text;
}

static void write_one(const char *path, const char *text, size_t len)
{
	struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int dir, lock, fd;

	need(mkdir(path, 0755) == 0, path);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(dir >= 0, path);
	lock = openat(dir, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	need(lock >= 0 && fcntl(lock, F_OFD_SETLKW, &range) == 0, "lock");
	fd = openat(dir, ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	need(fd >= 0, "create");
	need(write(fd, text, len) == (ssize_t)len, "write");
	need(fsync(fd) == 0 && close(fd) == 0, "fsync");
	need(renameat(dir, ".new", dir, "training_info.json") == 0, "rename");
	need(fsync(dir) == 0, "fsync");
	need(close(lock) == 0 && close(dir) == 0, "close");
}

int main(int argc, char **argv)
{
	size_t len;
	char *text;
	char path[4096];
	int n;

	if (argc != 4)
		return 2;
	n = atoi(argv[2]);
	text = read_all(argv[3], &len);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%d", argv[1], i);
		write_one(path, text, len);
	}
	free(text);
	return 0;
}
