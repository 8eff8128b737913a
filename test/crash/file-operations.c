/*
 * Counts every operation of a process that changes files below one folder; writes them down, ends the process at one of them,
 * or lets some of them fail. Loaded with LD_PRELOAD; Linux with glibc only. UV_USE_IO_URING=0 keeps libuv out of the kernel's
 * rings, where nothing of it would be seen. operations.ts compiles, steers and reads it.
 *
 * Environment
 *   FILE_OPERATIONS_FOLDER   absolute path without symbolic links: only what happens below it (or to itself) is looked at
 *   FILE_OPERATIONS_LOG      records are appended to this file, which lies elsewhere
 *   FILE_OPERATIONS_CONTROL  `struct control`, mapped: whoever steers the process writes it at any time
 *
 * Shared memory of SQLite (names that end in -shm) is no state, and not counted; it fails like the rest while operations fail.
 *
 * The log is a row of records: `struct record` (little endian on the machines this runs on), then path, second path and data,
 * padded to a multiple of 8. One lock is held over an operation and its record, so that the order of records is the order of
 * what happened, over all threads. An answer on a TCP connection is written down just before its bytes leave: whatever must
 * hold when a client knows the answer is above that record. Operations that did nothing because the system refused them
 * have a negative result.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind {
  CREATE = 1,    /* by open: the file was not there. mode = its permissions */
  TRUNCATE = 2,  /* to `length`; also by open with O_TRUNC */
  WRITE = 3,     /* `length` bytes at `offset`; data holds them */
  SYNC = 4,      /* fsync of a file or a folder */
  DATASYNC = 5,  /* fdatasync */
  RENAME = 6,    /* path to second path; mode = flags of renameat2 */
  UNLINK = 7,
  RMDIR = 8,
  MKDIR = 9,
  LINK = 10,     /* second path becomes another name of path */
  SYMLINK = 11,  /* path is made; data holds where it points */
  CHMOD = 12,    /* mode */
  TIMES = 13,
  ALLOCATE = 14, /* fallocate: offset, length, mode */
  ANSWER = 32,   /* not counted. Bytes to a TCP peer: offset = the peer's port, length = all of them, data = at most ANSWER_BYTES */
};

#define ANSWER_BYTES 65536

struct record {
  uint32_t bytes;        /* of the record, with all that follows */
  uint16_t kind;
  uint16_t path_bytes;
  uint16_t path2_bytes;
  uint16_t reserved;
  uint32_t data_bytes;
  uint64_t number;       /* of the operation, from 1, since it was armed; 0 while unarmed, and for what is not counted */
  uint64_t inode;        /* of the file (for RENAME, LINK, UNLINK: of the one at path before); 0 unknown */
  int64_t offset;
  int64_t length;
  int64_t result;        /* as the caller got it, or -errno */
  uint32_t mode;
  uint32_t thread;
};

enum what { NOTHING = 0, COUNT = 1, KILL_BEFORE = 2, KILL_WITHIN = 3, FAIL = 4 };

struct control {
  uint32_t what;
  int32_t error;         /* FAIL: errno */
  uint64_t count;        /* operations since it was armed */
  uint64_t first, last;  /* KILL: at first. FAIL: from first to last */
  uint64_t kinds;        /* FAIL: bit `kind` is set for those that fail; others in the range pass */
  uint64_t failed;       /* how many did */
};

static char folder[PATH_MAX];
static size_t folder_bytes;
static int log_fd = -1;
static struct control none;
static struct control *control = &none;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((typeof(&name))real(#name))
#define real(name) ({ static void *found; if (!found) found = dlsym(RTLD_NEXT, name); found; })

__attribute__((constructor)) static void begin(void) {
  const char *wanted = getenv("FILE_OPERATIONS_FOLDER");
  if (wanted == NULL || strlen(wanted) >= sizeof folder) return;
  strcpy(folder, wanted);
  folder_bytes = strlen(folder);
  const char *log = getenv("FILE_OPERATIONS_LOG");
  if (log != NULL) log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const char *steer = getenv("FILE_OPERATIONS_CONTROL");
  if (steer != NULL) {
    int fd = REAL(open)(steer, O_RDWR | O_CLOEXEC);
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0 && at != MAP_FAILED) control = at;
    close(fd);
  }
  if ((log != NULL && log_fd < 0) || (steer != NULL && control == &none)) {
    static const char words[] = "file-operations: the log or the control file cannot be opened\n";
    REAL(write)(2, words, sizeof words - 1);
    _exit(99);
  }
}

/* -- which files -- */

static int is_below(const char *path) {
  return folder_bytes > 0 && strncmp(path, folder, folder_bytes) == 0 && (path[folder_bytes] == '/' || path[folder_bytes] == 0);
}

static int is_shared_memory(const char *path) {
  size_t bytes = strlen(path);
  return bytes > 4 && strcmp(path + bytes - 4, "-shm") == 0;
}

/* Path of a descriptor, also of one whose file was renamed since, or removed; 0 if it is none of ours. */
static int path_of(int fd, char *path) {
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t bytes = readlink(link, path, PATH_MAX - 1);
  if (bytes <= 0 || path[0] != '/') return 0;
  path[bytes] = 0;
  static const char gone[] = " (deleted)";
  size_t tail = sizeof gone - 1;
  if ((size_t)bytes > tail && strcmp(path + bytes - tail, gone) == 0) path[bytes - tail] = 0;
  return is_below(path);
}

/* Absolute, without `.`, `..` and double slashes. */
static int resolved(int dirfd, const char *name, char *path) {
  char whole[2 * PATH_MAX];
  if (name == NULL) return 0;
  if (name[0] == '/') {
    whole[0] = 0;
  } else if (dirfd == AT_FDCWD) {
    if (getcwd(whole, PATH_MAX) == NULL) return 0;
  } else {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    ssize_t bytes = readlink(link, whole, PATH_MAX - 1);
    if (bytes <= 0) return 0;
    whole[bytes] = 0;
  }
  if (strlen(whole) + strlen(name) + 2 > sizeof whole) return 0;
  strcat(whole, "/");
  strcat(whole, name);
  size_t end = 0;
  for (char *part = whole; *part != 0;) {
    while (*part == '/') part++;
    size_t bytes = strcspn(part, "/");
    if (bytes == 0 || (bytes == 1 && part[0] == '.')) {
    } else if (bytes == 2 && part[0] == '.' && part[1] == '.') {
      while (end > 0 && path[--end] != '/') {}
    } else {
      if (end + bytes + 2 > PATH_MAX) return 0;
      path[end++] = '/';
      memcpy(path + end, part, bytes);
      end += bytes;
    }
    part += bytes;
  }
  path[end] = 0;
  return is_below(path);
}

static uint64_t inode_at(const char *path) {
  struct stat found;
  return lstat(path, &found) == 0 ? found.st_ino : 0;
}

static uint64_t inode_of(int fd) {
  struct stat found;
  return fstat(fd, &found) == 0 ? found.st_ino : 0;
}

/* -- one operation -- */

struct operation {
  enum kind kind;
  const char *path, *path2;
  const void *data;
  size_t data_bytes;
  uint64_t inode;
  int64_t offset, length;
  uint32_t mode;
  uint64_t number;
  int within;            /* the process ends in the middle of this one */
};

static void append(const struct operation *it, int64_t result) {
  if (log_fd < 0) return;
  size_t path_bytes = it->path ? strlen(it->path) : 0, path2_bytes = it->path2 ? strlen(it->path2) : 0;
  size_t bytes = sizeof(struct record) + path_bytes + path2_bytes + it->data_bytes;
  size_t padded = (bytes + 7) / 8 * 8;
  static const char zeros[8];
  struct record head = {
    .bytes = padded, .kind = it->kind, .path_bytes = path_bytes, .path2_bytes = path2_bytes, .data_bytes = it->data_bytes,
    .number = it->number, .inode = it->inode, .offset = it->offset, .length = it->length, .result = result, .mode = it->mode,
    .thread = gettid(),
  };
  struct iovec parts[] = {
    { &head, sizeof head }, { (void *)it->path, path_bytes }, { (void *)it->path2, path2_bytes },
    { (void *)it->data, it->data_bytes }, { (void *)zeros, padded - bytes },
  };
  if (REAL(writev)(log_fd, parts, 5) != (ssize_t)padded) {
    static const char words[] = "file-operations: the log cannot be written\n";
    REAL(write)(2, words, sizeof words - 1);
    _exit(99);
  }
}

/* Nobody else gets on: the lock is never given back. */
static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/*
 * Takes the lock and counts. Answers 0 if the operation shall be done, or the errno it fails with; `end` gives the lock back either way.
 */
static int start(struct operation *it) {
  pthread_mutex_lock(&lock);
  uint32_t what = control->what;
  it->number = 0;
  it->within = 0;
  int shared = is_shared_memory(it->path);
  if (what == NOTHING) return 0;
  uint64_t count = shared ? control->count : ++control->count;
  if (!shared) it->number = count;
  if (!shared && what == KILL_BEFORE && count == control->first) die();
  if (!shared && what == KILL_WITHIN && count == control->first) it->within = 1;
  if (what == FAIL && count >= control->first && count <= control->last && (control->kinds >> it->kind & 1)) {
    control->failed++;
    return control->error;
  }
  return 0;
}

static void end(struct operation *it, int64_t result) {
  int error = errno;
  if (!is_shared_memory(it->path)) append(it, result < 0 ? -error : result);
  if (it->within) die();
  pthread_mutex_unlock(&lock);
  errno = error;
}

/* For what has no half: done before the process ends within it. */
#define OPERATE(call, ...) ({ \
  struct operation it = { __VA_ARGS__ }; \
  int refused = start(&it); \
  typeof(call) result; \
  if (refused) { errno = refused; result = -1; } else result = (call); \
  end(&it, result); \
  result; \
})

/* -- open -- */

static int opened(int dirfd, const char *name, int flags, mode_t mode) {
  char path[PATH_MAX];
  int writes = (flags & O_ACCMODE) != O_RDONLY;
  if (!(writes || flags & (O_CREAT | O_TRUNC)) || flags & O_PATH || (flags & O_TMPFILE) == O_TMPFILE || !resolved(dirfd, name, path)) {
    return REAL(openat)(dirfd, name, flags, mode);
  }
  struct stat found;
  int there = stat(path, &found) == 0;
  int creates = flags & O_CREAT && !there;
  int truncates = flags & O_TRUNC && there && found.st_size > 0 && !(flags & O_CREAT && flags & O_EXCL);
  if (creates || truncates) {
    struct operation it = { .kind = creates ? CREATE : TRUNCATE, .path = path, .mode = mode, .inode = creates ? 0 : found.st_ino };
    int refused = start(&it);
    int fd = -1;
    if (refused) errno = refused;
    else fd = REAL(openat)(dirfd, name, flags, mode);
    if (fd >= 0) it.inode = inode_of(fd);
    end(&it, fd < 0 ? -1 : 0);
    return fd;
  }
  /* a file system that became read-only gives out no descriptor to write with */
  if (there && control->what == FAIL && control->error == EROFS && control->count >= control->first && control->count <= control->last) {
    errno = EROFS;
    return -1;
  }
  return REAL(openat)(dirfd, name, flags, mode);
}

#define MODE(flags) ({ mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } mode; })

int open(const char *name, int flags, ...) { return opened(AT_FDCWD, name, flags, MODE(flags)); }
int open64(const char *name, int flags, ...) { return opened(AT_FDCWD, name, flags | O_LARGEFILE, MODE(flags)); }
int openat(int dirfd, const char *name, int flags, ...) { return opened(dirfd, name, flags, MODE(flags)); }
int openat64(int dirfd, const char *name, int flags, ...) { return opened(dirfd, name, flags | O_LARGEFILE, MODE(flags)); }
int creat(const char *name, mode_t mode) { return opened(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *name, mode_t mode) { return opened(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC | O_LARGEFILE, mode); }

/* -- write -- */

/* `offset` -1: at the descriptor's own place, which moves on. */
static ssize_t written(int fd, const char *path, const void *data, size_t bytes, int64_t offset) {
  struct operation it = { .kind = WRITE, .path = path, .inode = inode_of(fd), .data = data, .data_bytes = bytes, .length = bytes, .offset = offset };
  int refused = start(&it);
  ssize_t result = -1;
  if (offset < 0) {
    struct stat found;
    int appends = fcntl(fd, F_GETFL) & O_APPEND;
    it.offset = appends && fstat(fd, &found) == 0 ? found.st_size : lseek(fd, 0, SEEK_CUR);
  }
  if (it.within && bytes > 1) it.data_bytes = it.length = bytes = bytes / 2;
  if (refused) errno = refused;
  else if (offset < 0) result = REAL(write)(fd, data, bytes);
  else result = REAL(pwrite64)(fd, data, bytes, offset);
  if (result >= 0) it.data_bytes = it.length = result;
  else it.data_bytes = 0;
  end(&it, result);
  return result;
}

static void answering(int fd, const struct iovec *parts, int count) {
  int domain = 0;
  socklen_t size = sizeof domain;
  if (log_fd < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 || (domain != AF_INET && domain != AF_INET6)) return;
  struct sockaddr_storage peer;
  size = sizeof peer;
  if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0) return;
  int port = ntohs(domain == AF_INET ? ((struct sockaddr_in *)&peer)->sin_port : ((struct sockaddr_in6 *)&peer)->sin6_port);
  size_t all = 0, kept = 0;
  for (int i = 0; i < count; i++) all += parts[i].iov_len;
  char *data = malloc(all < ANSWER_BYTES ? all + 1 : ANSWER_BYTES);
  for (int i = 0; i < count && kept < ANSWER_BYTES; i++) {
    size_t bytes = parts[i].iov_len < ANSWER_BYTES - kept ? parts[i].iov_len : ANSWER_BYTES - kept;
    memcpy(data + kept, parts[i].iov_base, bytes);
    kept += bytes;
  }
  struct operation it = { .kind = ANSWER, .path = "", .data = data, .data_bytes = kept, .offset = port, .length = all };
  pthread_mutex_lock(&lock);
  append(&it, 0);
  pthread_mutex_unlock(&lock);
  free(data);
}

static void *flat(const struct iovec *parts, int count, size_t *bytes) {
  *bytes = 0;
  for (int i = 0; i < count; i++) *bytes += parts[i].iov_len;
  char *all = malloc(*bytes + 1), *at = all;
  for (int i = 0; i < count; i++) {
    memcpy(at, parts[i].iov_base, parts[i].iov_len);
    at += parts[i].iov_len;
  }
  return all;
}

static ssize_t gathered(int fd, const char *path, const struct iovec *parts, int count, int64_t offset) {
  size_t bytes;
  void *all = flat(parts, count, &bytes);
  ssize_t result = written(fd, path, all, bytes, offset);
  free(all);
  return result;
}

ssize_t write(int fd, const void *data, size_t bytes) {
  char path[PATH_MAX];
  if (path_of(fd, path)) return written(fd, path, data, bytes, -1);
  struct iovec part = { (void *)data, bytes };
  answering(fd, &part, 1);
  return REAL(write)(fd, data, bytes);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
  char path[PATH_MAX];
  return path_of(fd, path) ? written(fd, path, data, bytes, offset) : REAL(pwrite)(fd, data, bytes, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) {
  char path[PATH_MAX];
  return path_of(fd, path) ? written(fd, path, data, bytes, offset) : REAL(pwrite64)(fd, data, bytes, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  char path[PATH_MAX];
  if (path_of(fd, path)) return gathered(fd, path, parts, count, -1);
  answering(fd, parts, count);
  return REAL(writev)(fd, parts, count);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  char path[PATH_MAX];
  return path_of(fd, path) ? gathered(fd, path, parts, count, offset) : REAL(pwritev)(fd, parts, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  char path[PATH_MAX];
  return path_of(fd, path) ? gathered(fd, path, parts, count, offset) : REAL(pwritev64)(fd, parts, count, offset);
}

ssize_t send(int fd, const void *data, size_t bytes, int flags) {
  struct iovec part = { (void *)data, bytes };
  answering(fd, &part, 1);
  return REAL(send)(fd, data, bytes, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  answering(fd, message->msg_iov, message->msg_iovlen);
  return REAL(sendmsg)(fd, message, flags);
}

/* What the kernel would copy by itself: by hand, so that the bytes are known. */
static ssize_t copied(int in, off64_t *in_offset, int out, const char *path, off64_t *out_offset, size_t bytes) {
  if (bytes > 1 << 20) bytes = 1 << 20;
  void *data = malloc(bytes + 1);
  ssize_t got = in_offset ? pread64(in, data, bytes, *in_offset) : read(in, data, bytes);
  if (got > 0) {
    ssize_t done = written(out, path, data, got, out_offset ? *out_offset : -1);
    if (done >= 0 && in_offset) *in_offset += done;
    if (done >= 0 && out_offset) *out_offset += done;
    if (!in_offset && done < got) lseek(in, (done < 0 ? 0 : done) - got, SEEK_CUR);
    got = done;
  }
  int error = errno;
  free(data);
  errno = error;
  return got;
}

ssize_t sendfile(int out, int in, off_t *offset, size_t bytes) {
  char path[PATH_MAX];
  return path_of(out, path) ? copied(in, offset, out, path, NULL, bytes) : REAL(sendfile)(out, in, offset, bytes);
}

ssize_t sendfile64(int out, int in, off64_t *offset, size_t bytes) {
  char path[PATH_MAX];
  return path_of(out, path) ? copied(in, offset, out, path, NULL, bytes) : REAL(sendfile64)(out, in, offset, bytes);
}

ssize_t copy_file_range(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t bytes, unsigned flags) {
  char path[PATH_MAX];
  return path_of(out, path) ? copied(in, in_offset, out, path, out_offset, bytes) : REAL(copy_file_range)(in, in_offset, out, out_offset, bytes, flags);
}

/* libuv goes this way to what old C libraries lack. */
long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long), d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
  va_end(rest);
  if (folder_bytes > 0 && number == SYS_copy_file_range) {
    char path[PATH_MAX];
    if (path_of(c, path)) return copied(a, (off64_t *)b, c, path, (off64_t *)d, e);
  }
  return REAL(syscall)(number, a, b, c, d, e, f);
}

/* A clone by the file system: refused, and then copied. */
int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  char path[PATH_MAX];
  if ((request == 0x40049409 || request == 0x4020940d) && path_of(fd, path)) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return REAL(ioctl)(fd, request, argument);
}

/* -- size -- */

int ftruncate(int fd, off_t length) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(ftruncate)(fd, length);
  return OPERATE(REAL(ftruncate)(fd, length), .kind = TRUNCATE, .path = path, .inode = inode_of(fd), .length = length);
}

int ftruncate64(int fd, off64_t length) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(ftruncate64)(fd, length);
  return OPERATE(REAL(ftruncate64)(fd, length), .kind = TRUNCATE, .path = path, .inode = inode_of(fd), .length = length);
}

int truncate(const char *name, off_t length) {
  char path[PATH_MAX];
  if (!resolved(AT_FDCWD, name, path)) return REAL(truncate)(name, length);
  return OPERATE(REAL(truncate)(name, length), .kind = TRUNCATE, .path = path, .inode = inode_at(path), .length = length);
}

int truncate64(const char *name, off64_t length) { return truncate(name, length); }

int fallocate(int fd, int mode, off_t offset, off_t length) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(fallocate)(fd, mode, offset, length);
  return OPERATE(REAL(fallocate)(fd, mode, offset, length), .kind = ALLOCATE, .path = path, .inode = inode_of(fd), .offset = offset, .length = length, .mode = mode);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }

int posix_fallocate(int fd, off_t offset, off_t length) { return fallocate(fd, 0, offset, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t offset, off64_t length) { return posix_fallocate(fd, offset, length); }

/* -- to the disk -- */

int fsync(int fd) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(fsync)(fd);
  return OPERATE(REAL(fsync)(fd), .kind = SYNC, .path = path, .inode = inode_of(fd));
}

int fdatasync(int fd) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(fdatasync)(fd);
  return OPERATE(REAL(fdatasync)(fd), .kind = DATASYNC, .path = path, .inode = inode_of(fd));
}

/* -- names -- */

static int renamed(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  char path[PATH_MAX], path2[PATH_MAX];
  int ours = resolved(from_dir, from, path);
  if (!(resolved(to_dir, to, path2) | ours)) return REAL(renameat2)(from_dir, from, to_dir, to, flags);
  return OPERATE(REAL(renameat2)(from_dir, from, to_dir, to, flags), .kind = RENAME, .path = path, .path2 = path2, .inode = inode_at(path), .mode = flags);
}

int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_dir, const char *from, int to_dir, const char *to) { return renamed(from_dir, from, to_dir, to, 0); }
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) { return renamed(from_dir, from, to_dir, to, flags); }

int unlinkat(int dirfd, const char *name, int flags) {
  char path[PATH_MAX];
  if (!resolved(dirfd, name, path) || inode_at(path) == 0) return REAL(unlinkat)(dirfd, name, flags);
  return OPERATE(REAL(unlinkat)(dirfd, name, flags), .kind = flags & AT_REMOVEDIR ? RMDIR : UNLINK, .path = path, .inode = inode_at(path));
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int remove(const char *name) {
  struct stat found;
  return unlinkat(AT_FDCWD, name, lstat(name, &found) == 0 && S_ISDIR(found.st_mode) ? AT_REMOVEDIR : 0);
}

int mkdirat(int dirfd, const char *name, mode_t mode) {
  char path[PATH_MAX];
  if (!resolved(dirfd, name, path) || inode_at(path) != 0) return REAL(mkdirat)(dirfd, name, mode);
  return OPERATE(REAL(mkdirat)(dirfd, name, mode), .kind = MKDIR, .path = path, .mode = mode);
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* The name is known only afterwards: six random characters of our own. */
char *mkdtemp(char *template) {
  char path[PATH_MAX];
  size_t bytes = strlen(template);
  if (bytes < 6 || !resolved(AT_FDCWD, template, path)) return REAL(mkdtemp)(template);
  static unsigned given;
  do snprintf(template + bytes - 6, 7, "%06x", (__sync_add_and_fetch(&given, 1) * 2654435761u ^ (unsigned)getpid()) & 0xffffff);
  while (inode_at(template) != 0);
  return mkdir(template, 0700) == 0 ? template : NULL;
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  char path[PATH_MAX], path2[PATH_MAX];
  resolved(from_dir, from, path);
  if (!resolved(to_dir, to, path2)) return REAL(linkat)(from_dir, from, to_dir, to, flags);
  return OPERATE(REAL(linkat)(from_dir, from, to_dir, to, flags), .kind = LINK, .path = path, .path2 = path2, .inode = inode_at(path));
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int dirfd, const char *name) {
  char path[PATH_MAX];
  if (!resolved(dirfd, name, path)) return REAL(symlinkat)(target, dirfd, name);
  return OPERATE(REAL(symlinkat)(target, dirfd, name), .kind = SYMLINK, .path = path, .data = target, .data_bytes = strlen(target));
}

int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }

/* -- attributes -- */

int fchmodat(int dirfd, const char *name, mode_t mode, int flags) {
  char path[PATH_MAX];
  if (!resolved(dirfd, name, path)) return REAL(fchmodat)(dirfd, name, mode, flags);
  return OPERATE(REAL(fchmodat)(dirfd, name, mode, flags), .kind = CHMOD, .path = path, .inode = inode_at(path), .mode = mode);
}

int chmod(const char *name, mode_t mode) { return fchmodat(AT_FDCWD, name, mode, 0); }

int fchmod(int fd, mode_t mode) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(fchmod)(fd, mode);
  return OPERATE(REAL(fchmod)(fd, mode), .kind = CHMOD, .path = path, .inode = inode_of(fd), .mode = mode);
}

int utimensat(int dirfd, const char *name, const struct timespec times[2], int flags) {
  char path[PATH_MAX];
  if (!resolved(dirfd, name, path)) return REAL(utimensat)(dirfd, name, times, flags);
  return OPERATE(REAL(utimensat)(dirfd, name, times, flags), .kind = TIMES, .path = path, .inode = inode_at(path));
}

int futimens(int fd, const struct timespec times[2]) {
  char path[PATH_MAX];
  if (!path_of(fd, path)) return REAL(futimens)(fd, times);
  return OPERATE(REAL(futimens)(fd, times), .kind = TIMES, .path = path, .inode = inode_of(fd));
}
