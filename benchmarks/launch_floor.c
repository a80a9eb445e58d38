// SPDX-License-Identifier: Apache-2.0
// The floor of benchmarks/launch: the kernel work of one container by hand, in C, with nothing around it. No state
// record, no checks of the root, no errors explained; each mount by the one call that does it.
//
//   launch_floor [--root bind] DIRECTORY    DIRECTORY/layer is the root; it launches /bin/true of it
//
// Each line on standard input is one launch; the answer is nanoseconds: total provision prepare spawn wait destroy.
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floor_child.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

// --- cgroups: one directory for each, its limits, and how the child gets in --------------------------------------

struct limit {
  const char *file, *text;
};
struct cgroup {
  char path[256];
  struct limit limits[5];
  bool unified;  // the child is born in it; else it writes itself to `tasks`
  int entrance;
};
static struct cgroup cgroups[4];
static size_t cgroup_count;

static void add_cgroup(const char* hierarchy, bool unified, const struct limit* limits) {
  struct cgroup* const each = &cgroups[cgroup_count++];
  snprintf(each->path, sizeof each->path, "%s/mortise-floor", hierarchy);
  if (mkdir(each->path, 0755) != 0 && errno != EEXIST) die(each->path);
  strcat(each->path, "/one");
  each->unified = unified;
  for (size_t at = 0; limits[at].file; ++at) each->limits[at] = limits[at];
}

static void find_cgroups(void) {
  static const struct limit none[] = {{0}};
  if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
    add_cgroup("/sys/fs/cgroup", true,
               (const struct limit[]){{"memory.max", "67108864"},
                                      {"memory.swap.max", "0"},
                                      {"cpu.max", "100000 100000"},
                                      {"pids.max", "64"},
                                      {0}});
    return;
  }
  add_cgroup(
      "/sys/fs/cgroup/memory", false,
      (const struct limit[]){{"memory.limit_in_bytes", "67108864"}, {"memory.memsw.limit_in_bytes", "67108864"}, {0}});
  add_cgroup("/sys/fs/cgroup/cpu", false,
             (const struct limit[]){{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", "100000"}, {0}});
  add_cgroup("/sys/fs/cgroup/pids", false, (const struct limit[]){{"pids.max", "64"}, {0}});
  if (access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0) add_cgroup("/sys/fs/cgroup/unified", true, none);
}

static void make_cgroup(struct cgroup* what) {
  must(mkdir(what->path, 0755), what->path);
  const int directory = (int)must(open(what->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), what->path);
  for (const struct limit* each = what->limits; each->file; ++each) {
    const int file = openat(directory, each->file, O_WRONLY | O_CLOEXEC);
    if (file < 0 && strstr(each->file, "sw")) continue;  // a kernel that does not account swap
    must(file, each->file);
    must(write(file, each->text, strlen(each->text)), each->file);
    close(file);
  }
  what->entrance = directory;
  if (what->unified) return;
  what->entrance = (int)must(openat(directory, "tasks", O_WRONLY | O_CLOEXEC), "tasks");
  close(directory);
}

static void remove_cgroup(struct cgroup* what) {
  close(what->entrance);
  while (rmdir(what->path) != 0) {  // the last exit is seen a little later
    if (errno != EBUSY) die(what->path);
    sched_yield();
  }
}

static void remove_cgroup_parents(void) {
  for (size_t at = 0; at < cgroup_count; ++at) {
    *strrchr(cgroups[at].path, '/') = 0;
    rmdir(cgroups[at].path);
  }
}

// --- the child -----------------------------------------------------------------------------------------------------

static char layer[4096], overlay_options[3 * 4096];
static bool bind_root;

static void enter_root(void) {
  child_must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
  if (bind_root) {
    child_must(mount(layer, "root", NULL, MS_BIND | MS_REC, NULL), "bind root");
    child_must(mount(NULL, "root", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "remount root");
  } else {
    child_must(mount("overlay", "root", "overlay", 0, overlay_options), "mount overlay");
  }
  child_must(chdir("root"), "chdir root");
  child_must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  child_must(umount2(".", MNT_DETACH), "umount");
  child_must(chdir("/"), "chdir /");
}

static void make_dev(void) {
  static const struct {
    const char* path;
    unsigned major, minor;
  } nodes[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
               {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
  static const char* const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                         {"/proc/self/fd/0", "/dev/stdin"},
                                         {"/proc/self/fd/1", "/dev/stdout"},
                                         {"/proc/self/fd/2", "/dev/stderr"},
                                         {"pts/ptmx", "/dev/ptmx"}};
  child_must(mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=65536k"), "mount /dev");
  for (size_t at = 0; at < COUNT(nodes); ++at)
    child_must(mknod(nodes[at].path, S_IFCHR | 0666, makedev(nodes[at].major, nodes[at].minor)), nodes[at].path);
  for (size_t at = 0; at < COUNT(links); ++at) child_must(symlink(links[at][0], links[at][1]), links[at][1]);
  child_must(mkdir("/dev/pts", 0755), "mkdir pts");
  child_must(mkdir("/dev/shm", 0755), "mkdir shm");
  child_must(mkdir("/dev/mqueue", 0755), "mkdir mqueue");
  child_must(mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
             "mount devpts");
  const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  child_must(mount("shm", "/dev/shm", "tmpfs", plain, "mode=1777,size=67108864"), "mount shm");
  child_must(mount("mqueue", "/dev/mqueue", "mqueue", plain, NULL), "mount mqueue");
}

static void mask_paths(void) {
  static const char* const masked[] = {"/proc/acpi",       "/proc/asound",      "/proc/interrupts",
                                       "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
                                       "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
                                       "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
  static const char* const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  const unsigned long hidden = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const char* empty = NULL;
  for (size_t at = 0; at < COUNT(masked); ++at) {
    struct stat about;
    if (lstat(masked[at], &about) != 0) continue;
    if (!S_ISDIR(about.st_mode)) {
      child_must(mount("/dev/null", masked[at], NULL, MS_BIND, NULL), masked[at]);
    } else if (empty != NULL) {
      child_must(mount(empty, masked[at], NULL, MS_BIND, NULL), masked[at]);
    } else {
      child_must(mount("tmpfs", masked[at], "tmpfs", hidden, NULL), masked[at]);
      empty = masked[at];
    }
  }
  const unsigned long sealed = MS_REMOUNT | MS_BIND | hidden;
  for (size_t at = 0; at < COUNT(read_only); ++at) {
    if (mount(read_only[at], read_only[at], NULL, MS_BIND | MS_REC, NULL) != 0) continue;
    child_must(mount(NULL, read_only[at], NULL, sealed, NULL), read_only[at]);
  }
}

static void bring_loopback_up(void) {
  const int any = (int)child_must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
  child_must(ioctl(any, SIOCSIFFLAGS, &request), "loopback");
  close(any);
}

static void drop_privileges(void) {
  const uint64_t keep = 0xa80425fb;  // the fourteen of Docker
  for (unsigned each = 0; each < 64; ++each) {
    if ((keep >> each & 1) == 0 && prctl(PR_CAPBSET_DROP, each, 0, 0, 0) != 0) break;
  }
  const gid_t group = 0;
  child_must(syscall(SYS_setgroups, 1, &group), "setgroups");
  child_must(syscall(SYS_setresgid, 0, 0, 0), "setresgid");
  child_must(syscall(SYS_setresuid, 0, 0, 0), "setresuid");
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{(uint32_t)keep, (uint32_t)keep, 0}, {0, 0, 0}};
  child_must(syscall(SYS_capset, &header, data), "capset");
  child_must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

static void child(void) {
  static const char* const environment[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                            "HOME=/", NULL};
  static const char* const arguments[] = {"/bin/true", NULL};
  child_must(syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC), "close_range");
  for (size_t at = 0; at < cgroup_count; ++at)
    if (!cgroups[at].unified) child_must(write(cgroups[at].entrance, "0", 1), "join cgroup");
  child_must(setsid(), "setsid");
  bring_loopback_up();
  child_must(sethostname("floor", 5), "sethostname");
  enter_root();
  const unsigned long plain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  child_must(mount("proc", "/proc", "proc", plain, NULL), "mount proc");
  child_must(mount("sysfs", "/sys", "sysfs", plain | MS_RDONLY, NULL), "mount sysfs");
  make_dev();
  mask_paths();
  drop_privileges();
  umask(022);
  child_must(syscall(SYS_execve, arguments[0], arguments, environment), "execve");
}

// --- one launch ----------------------------------------------------------------------------------------------------

static pid_t start(void) {
  int pidfd = -1;
  struct clone_args how = {
      .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_PIDFD,
      .pidfd = (uintptr_t)&pidfd,
  };
  for (size_t at = 0; at < cgroup_count; ++at) {
    if (!cgroups[at].unified) continue;
    how.flags |= CLONE_INTO_CGROUP;
    how.cgroup = (unsigned)cgroups[at].entrance;
  }
  const pid_t pid = spawn(&how, child);
  close(pidfd);
  return pid;
}

static void make_directories(void) {
  must(mkdir("root", 0755), "mkdir root");
  if (bind_root) return;
  must(mkdir("upper", 0755), "mkdir upper");
  must(mkdir("work", 0755), "mkdir work");
}

// What a volatile overlay leaves in its work directory, and the upper directory, into which nobody wrote.
static void remove_directories(void) {
  must(rmdir("root"), "rmdir root");
  if (bind_root) return;
  unlink("work/work/incompat/volatile/dirty");
  rmdir("work/work/incompat/volatile");
  rmdir("work/work/incompat");
  rmdir("work/work");
  must(rmdir("work"), "rmdir work");
  must(rmdir("upper"), "rmdir upper");
}

static void launch(void) {
  uint64_t at[6];
  at[0] = now();
  make_directories();
  at[1] = now();
  for (size_t each = 0; each < cgroup_count; ++each) make_cgroup(&cgroups[each]);
  at[2] = now();
  const pid_t pid = start();
  at[3] = now();
  int status = 0;
  must(waitpid(pid, &status, 0), "waitpid");
  at[4] = now();
  for (size_t each = 0; each < cgroup_count; ++each) remove_cgroup(&cgroups[each]);
  remove_directories();
  at[5] = now();
  if (status != 0) die("the program failed");
  printf("%ju", (uintmax_t)(at[5] - at[0]));
  for (size_t each = 1; each < COUNT(at); ++each) printf(" %ju", (uintmax_t)(at[each] - at[each - 1]));
  printf("\n");
  fflush(stdout);
}

int main(int count, char** words) {
  if (count == 4 && strcmp(words[1], "--root") == 0) bind_root = strcmp(words[2], "bind") == 0;
  if (count != 2 && count != 4) return fprintf(stderr, "usage: launch_floor [--root bind] DIRECTORY\n"), 1;
  char floor_directory[4096];
  snprintf(layer, sizeof layer, "%s/layer", words[count - 1]);
  snprintf(floor_directory, sizeof floor_directory, "%s/floor", words[count - 1]);
  must(mkdir(floor_directory, 0755), floor_directory);
  must(chdir(floor_directory), floor_directory);
  snprintf(overlay_options, sizeof overlay_options, "lowerdir=%s,upperdir=upper,workdir=work,volatile", layer);
  find_cgroups();
  for (char line[64]; fgets(line, sizeof line, stdin);) launch();
  remove_cgroup_parents();
  must(rmdir(floor_directory), "rmdir");
  return 0;
}
