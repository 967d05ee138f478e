/*
 * Preloaded into workers: calls that write to files below CHAOS_DISK fail with EIO while the file CHAOS_EIO exists. Its first letter
 * says which: w, writing; s, flushing. The first that fails leaves a file CHAOS_EIO.hit. Children are started without the environment of their parent: they get these three variables.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#define MAX_VARIABLES 512

extern char **environ;

static char preload[4096], disk[4096], control[4096];
static char *child_environment[MAX_VARIABLES + 4];

__attribute__((constructor)) static void remember(void) {
  Dl_info self;
  if (dladdr((void *)remember, &self) != 0) snprintf(preload, sizeof preload, "LD_PRELOAD=%s", self.dli_fname);
  const char *root = getenv("CHAOS_DISK"), *when = getenv("CHAOS_EIO");
  snprintf(disk, sizeof disk, "CHAOS_DISK=%s", root == NULL ? "" : root);
  snprintf(control, sizeof control, "CHAOS_EIO=%s", when == NULL ? "" : when);
}

/* Whether a call of this kind on this file is to fail now. Leaves errno alone. */
static int fails(int descriptor, char kind) {
  int before = errno, result = 0;
  char wanted = 0;
  int file = open(control + strlen("CHAOS_EIO="), O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    if (read(file, &wanted, 1) == 1 && wanted == kind) {
      char link[64], path[4096];
      const char *root = disk + strlen("CHAOS_DISK=");
      snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
      ssize_t length = readlink(link, path, sizeof path - 1);
      if (length > 0) {
        path[length] = 0;
        result = strncmp(path, root, strlen(root)) == 0;
      }
      if (result) {
        snprintf(path, sizeof path, "%s.hit", control + strlen("CHAOS_EIO="));
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
      }
    }
    close(file);
  }
  errno = before;
  return result;
}

#define NEXT(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
#define FAIL_OR(kind, descriptor, call) \
  if (fails(descriptor, kind)) { errno = EIO; return -1; } \
  return call

ssize_t write(int fd, const void *data, size_t size) { FAIL_OR('w', fd, NEXT(write)(fd, data, size)); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { FAIL_OR('w', fd, NEXT(pwrite)(fd, data, size, at)); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { FAIL_OR('w', fd, NEXT(pwrite64)(fd, data, size, at)); }
int fsync(int fd) { FAIL_OR('s', fd, NEXT(fsync)(fd)); }
int fdatasync(int fd) { FAIL_OR('s', fd, NEXT(fdatasync)(fd)); }

/* How Node starts a process, after it has put the new environment in place. Nothing may be allocated here. */
int execvp(const char *file, char *const arguments[]) {
  int count = 0;
  for (char **entry = environ; entry != NULL && *entry != NULL && count < MAX_VARIABLES; entry += 1) {
    if (strncmp(*entry, "LD_PRELOAD=", 11) == 0 || strncmp(*entry, "CHAOS_", 6) == 0) continue;
    child_environment[count++] = *entry;
  }
  child_environment[count++] = preload;
  child_environment[count++] = disk;
  child_environment[count++] = control;
  child_environment[count] = NULL;
  environ = child_environment;
  return NEXT(execvp)(file, arguments);
}
