/*
 * broken_worker - a plugin that has broken out of Lua, in a worker's confinement.
 *
 *	broken_worker INPUT <SCRIPT
 *
 * Starts itself again as a worker is started, with INPUT as descriptor 10 and an environment of none,
 * confines that process with confine_self(), and runs the script in it with all of Lua's libraries
 * and with
 *
 *	syscall(NAME, ...)   strings go in as their addresses; the result, or nil and errno's name
 *	number(NR, ...)      the same by number, for other ABIs
 *	int80(NR)            by the door of 32-bit programs (x86-64 only, else nil)
 *
 * Prints what the script returns; "killed by SIGNAL" if it was.
 */
#include "base/base.h"

#include "script/confine.h"
#include "script/state.h"
#include "script/worker.h"
#include "sys/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <lualib.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_ARGS 6

static const struct {
	const char *name;
	long number;
} calls[] = {
#define CALL(name)                \
	{                         \
#name, SYS_##name \
	}
	CALL(openat),
	CALL(openat2),
	CALL(socket),
	CALL(socketpair),
	CALL(connect),
	CALL(bind),
	CALL(sendto),
	CALL(sendmsg),
	CALL(ptrace),
	CALL(kill),
	CALL(tgkill),
	CALL(clone),
	CALL(clone3),
	CALL(execve),
	CALL(execveat),
	CALL(io_uring_setup),
	CALL(memfd_create),
	CALL(mount),
	CALL(umount2),
	CALL(bpf),
	CALL(userfaultfd),
	CALL(perf_event_open),
	CALL(keyctl),
	CALL(prctl),
	CALL(seccomp),
	CALL(mprotect),
	CALL(pkey_mprotect),
	CALL(mmap),
	CALL(process_vm_readv),
	CALL(process_vm_writev),
	CALL(personality),
	CALL(unlinkat),
	CALL(renameat2),
	CALL(mkdirat),
	CALL(linkat),
	CALL(symlinkat),
	CALL(fchmodat),
	CALL(ftruncate),
	CALL(fallocate),
	CALL(ioctl),
	CALL(fcntl),
	CALL(dup),
	CALL(dup3),
	CALL(pipe2),
	CALL(chdir),
	CALL(fchdir),
	CALL(chroot),
	CALL(unshare),
	CALL(setns),
	CALL(pidfd_open),
	CALL(pidfd_getfd),
	CALL(prlimit64),
	CALL(setuid),
	CALL(sched_setaffinity),
	CALL(init_module),
	CALL(kexec_load),
	CALL(reboot),
	CALL(open_by_handle_at),
	CALL(getdents64),
	CALL(write),
	CALL(writev),
	CALL(pwrite64),
	CALL(sendfile),
	CALL(splice),
	CALL(copy_file_range),
	CALL(read),
	CALL(pread64),
	CALL(rt_sigaction),
	CALL(timer_create),
	CALL(landlock_create_ruleset),
#undef CALL
};

/* ---- in the confined process ---- */

/* [-0, +1..2, e] the arguments from 'first' on */
static int make_call(lua_State *L, long number, int first)
{
	long args[MAX_ARGS] = { 0 };
	long result;

	for (int i = 0; i < MAX_ARGS && first + i <= lua_gettop(L); i++) {
		if (lua_type(L, first + i) == LUA_TSTRING)
			args[i] = (long)(uintptr_t)lua_tostring(L, first + i);
		else
			args[i] = (long)luaL_checkinteger(L, first + i);
	}
	result = syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
	if (result == -1) {
		lua_pushnil(L);
		lua_pushstring(L, strerrorname_np(errno));
		return 2;
	}
	lua_pushinteger(L, result);
	return 1;
}

/* [-0, +1..2, e] */
static int by_name(lua_State *L)
{
	const char *name = luaL_checkstring(L, 1);

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return make_call(L, calls[i].number, 2);
	return luaL_error(L, "no such call in broken_worker.c: %s", name);
}

/* [-0, +1..2, e] */
static int by_number(lua_State *L)
{
	return make_call(L, (long)luaL_checkinteger(L, 1), 2);
}

/* [-0, +1, e] */
static int int80(lua_State *L)
{
#ifdef __x86_64__
	long result = (long)luaL_checkinteger(L, 1);

	__asm__ volatile("int $0x80" : "+a"(result) : "b"(0L), "c"(0L), "d"(0L) : "memory");
	lua_pushinteger(L, result);
#else
	lua_pushnil(L);
#endif
	return 1;
}

static void say(const char *text)
{
	ssize_t n = write(STDOUT_FILENO, text, strlen(text));

	_exit(n < 0);
}

static int read_script(char *out, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1 && (n = read(STDIN_FILENO, out + len, size - 1 - len)) > 0)
		len += (size_t)n;
	out[len] = '\0';
	return (int)len;
}

static int run_confined(void)
{
	static char script[1 << 16];
	const struct confine_limits limits = { .memory = (size_t)64 << 20,
					       .cpu_seconds = 5,
					       .n_inputs = 1 };
	struct strv parts = STRV_INIT;
	struct err err = ERR_INIT;
	lua_State *L;

	read_script(script, sizeof(script));
	if (confine_self(&limits, &parts, &parts, &err) < 0)
		say(err.msg);
	L = luaL_newstate();
	if (!L)
		return 1;
	luaL_openlibs(L);
	lua_register(L, "syscall", by_name);
	lua_register(L, "number", by_number);
	lua_register(L, "int80", int80);
	if (luaL_loadstring(L, script) == LUA_OK)
		lua_pcall(L, 0, 1, 0);
	say(luaL_tolstring(L, -1, NULL));
	return 1;
}

/* ---- its parent ---- */

int main(int argc, char **argv)
{
	static char script[1 << 16];
	char *again[] = { (char[]){ "thhost" }, (char[]){ WORKER_VERB }, NULL };
	char *env[] = { NULL };
	char *self = proc_self();
	struct proc_answer answer = PROC_ANSWER_INIT;
	struct err err = ERR_INIT;
	int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	struct proc_request request = { .argv = again,
					.env = env,
					.exe = self,
					.input = script,
					.pass_fds = &fd,
					.n_pass_fds = 1,
					.output_limit = sizeof(script),
					.deadline_ms = 10000 };

	if (argc > 1 && strcmp(argv[1], WORKER_VERB) == 0)
		return run_confined();
	request.input_len = (size_t)read_script(script, sizeof(script));
	if (fd < 0 || proc_capture(&request, &answer, &err) < 0) {
		fprintf(stderr, "broken_worker: %s\n", fd < 0 ? "no INPUT" : err.msg);
		return 2;
	}
	if (WIFSIGNALED(answer.status))
		printf("killed by SIG%s\n", sigabbrev_np(WTERMSIG(answer.status)));
	else
		printf("%s\n", answer.out.buf);
	proc_answer_release(&answer);
	free(self);
	close(fd);
	return 0;
}
