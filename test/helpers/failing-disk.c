/*
 * Preloaded into a process: makes one operation of the file system fail, below the folder FAILING_DISK. The file FAILING_DISK_PLAN
 * says which: "N ERRNO", the Nth from now that writes; each one counts N down, and 0 means that none fails. -1 means that all fail; the
 * first that did makes it -2. Children that Node starts get the same, whatever environment they are given.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int is_below(const char *path) {
  const char *folder = getenv("FAILING_DISK");
  return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int is_file_below(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return is_below(path);
}

/* A path that begins at a folder that is open, as those of the blob store do. */
static int is_path_below(const char *path) {
  int fd;
  if (path != NULL && sscanf(path, "/proc/self/fd/%d/", &fd) == 1) return is_file_below(fd);
  return path != NULL && is_below(path);
}

static int is_its_turn(void) {
  const char *plan = getenv("FAILING_DISK_PLAN");
  int left = 0, code = 0, fails = 0;
  if (plan == NULL) return 0;
  pthread_mutex_lock(&lock);
  FILE *file = fopen(plan, "r+");
  if (file != NULL) {
    if (fscanf(file, "%d %d", &left, &code) == 2 && left != 0) {
      fails = left <= 1;
      if (left >= -1) {
        rewind(file);
        fprintf(file, "%d %d          \n", left - 1, code);
      }
    }
    fclose(file);
  }
  pthread_mutex_unlock(&lock);
  if (fails) errno = code;
  return fails;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t size) {
  if (is_file_below(fd) && is_its_turn()) return -1;
  return REAL(write)(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
  if (is_file_below(fd) && is_its_turn()) return -1;
  return REAL(pwrite)(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
  if (is_file_below(fd) && is_its_turn()) return -1;
  return REAL(pwrite64)(fd, bytes, size, at);
}

int fsync(int fd) {
  if (is_file_below(fd) && is_its_turn()) return -1;
  return REAL(fsync)(fd);
}

int fdatasync(int fd) {
  if (is_file_below(fd) && is_its_turn()) return -1;
  return REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t size) {
  if (is_file_below(fd) && is_its_turn()) return -1;
  return REAL(ftruncate64)(fd, size);
}

int rename(const char *from, const char *to) {
  if (is_path_below(to) && is_its_turn()) return -1;
  return REAL(rename)(from, to);
}

int link(const char *from, const char *to) {
  if (is_path_below(to) && is_its_turn()) return -1;
  return REAL(link)(from, to);
}

int mkdir(const char *path, mode_t mode) {
  if (is_path_below(path) && is_its_turn()) return -1;
  return REAL(mkdir)(path, mode);
}

static int open_with(const char *name, const char *path, int flags, mode_t mode) {
  if ((flags & O_CREAT) != 0 && is_path_below(path) && is_its_turn()) return -1;
  return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, name))(path, flags, mode);
}

#define OPEN(name)                                                       \
  int name(const char *path, int flags, ...) {                           \
    va_list rest;                                                        \
    va_start(rest, flags);                                               \
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;     \
    va_end(rest);                                                        \
    return open_with(#name, path, flags, mode);                          \
  }
OPEN(open)
OPEN(open64)

#define MAX_VARIABLES 512

extern char **environ;

static const char *const PASSED_ON[] = {"LD_PRELOAD", "FAILING_DISK", "FAILING_DISK_PLAN"};
static char passed_on[3][4096];
static char *child_environment[MAX_VARIABLES + 4];

/* Of what else is preloaded, nothing is passed on. */
__attribute__((constructor)) static void remember(void) {
  Dl_info self;
  for (int index = 0; index < 3; index += 1) {
    const char *value = getenv(PASSED_ON[index]);
    if (index == 0 && dladdr((void *)remember, &self) != 0) value = self.dli_fname;
    snprintf(passed_on[index], sizeof passed_on[index], "%s=%s", PASSED_ON[index], value == NULL ? "" : value);
  }
}

/* How Node starts a process, once the environment is that of the child. Nothing may be allocated here. */
int execvp(const char *file, char *const arguments[]) {
  int count = 0;
  for (int index = 0; index < 3; index += 1) child_environment[count++] = passed_on[index];
  for (char **entry = environ; entry != NULL && *entry != NULL && count < MAX_VARIABLES; entry += 1) {
    int is_passed_on = 0;
    for (int index = 0; index < 3; index += 1) {
      size_t length = strlen(PASSED_ON[index]);
      if (strncmp(*entry, PASSED_ON[index], length) == 0 && (*entry)[length] == '=') is_passed_on = 1;
    }
    if (!is_passed_on) child_environment[count++] = *entry;
  }
  child_environment[count] = NULL;
  environ = child_environment;
  return REAL(execvp)(file, arguments);
}
