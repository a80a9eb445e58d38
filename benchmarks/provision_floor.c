// SPDX-License-Identifier: Apache-2.0
// The floor of benchmarks/provision: the kernel work of one root by hand, in C, with nothing around it, by the calls of
// the newest kernel (Linux 6.15) that take the fewest of them.
//
//   provision_floor none|overlay|erofs|bind DIRECTORY PATH...
//
// PATH is a directory with /inside in it: for overlay each layer, bottom first; for erofs that of the index and the
// layer tars, mounted once before anything is timed; for bind the tree; for none, where no root is made, any. Each line
// on standard input is one root, made in DIRECTORY, absolute; line and answer are those of benchmarks/provision.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "floor_child.h"

enum kind { none, overlay, erofs, bind_mount };

static enum kind kind;
static char** layers;
static int layer_count;
static int image = -1;  // the mount of the EROFS image
static char* argument;

// --- the child -----------------------------------------------------------------------------------------------------

static int new_overlay(void) {
  const int context = (int)child_must(fsopen("overlay", FSOPEN_CLOEXEC), "fsopen overlay");
  if (kind == erofs) {
    child_must(fsconfig(context, FSCONFIG_SET_FD, "lowerdir+", NULL, image), "lowerdir+ (by descriptor: Linux 6.15)");
  } else {
    for (int each = layer_count; each-- > 0;)
      child_must(fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", layers[each], 0), "lowerdir+");
  }
  child_must(fsconfig(context, FSCONFIG_SET_STRING, "upperdir", "one/upper", 0), "upperdir");
  child_must(fsconfig(context, FSCONFIG_SET_STRING, "workdir", "one/work", 0), "workdir");
  child_must(fsconfig(context, FSCONFIG_SET_FLAG, "volatile", NULL, 0), "volatile");
  child_must(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "make overlay");
  return (int)child_must(fsmount(context, FSMOUNT_CLOEXEC, 0), "fsmount overlay");
}

static void enter_root(void) {
  if (kind == bind_mount) {
    child_must(mount(layers[0], "one/root", NULL, MS_BIND, NULL), "bind root");
    child_must(mount(NULL, "one/root", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "remount root");
  } else {
    child_must(move_mount(new_overlay(), "", AT_FDCWD, "one/root", MOVE_MOUNT_F_EMPTY_PATH), "move_mount");
  }
  child_must(chdir("one/root"), "chdir root");
  child_must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
  child_must(umount2(".", MNT_DETACH), "umount");
  child_must(chdir("/"), "chdir /");
}

static void child(void) {
  char* const arguments[] = {"/inside", argument, NULL};
  char* const environment[] = {NULL};
  child_must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
  if (kind == none) {
    child_must(chdir(layers[0]), "chdir");
  } else {
    enter_root();
  }
  child_must(execve("inside", arguments, environment), "execve");
}

// --- one root ------------------------------------------------------------------------------------------------------

static void make_directories(void) {
  if (kind == none) return;
  must(mkdir("one", 0700), "mkdir one");
  must(mkdir("one/root", 0700), "mkdir root");
  if (kind == bind_mount) return;
  must(mkdir("one/upper", 0755), "mkdir upper");
  must(mkdir("one/work", 0700), "mkdir work");
}

// What a volatile overlay leaves in its work directory, and the upper directory, into which nobody wrote.
static void remove_directories(void) {
  if (kind == none) return;
  if (kind != bind_mount) {
    must(unlink("one/work/work/incompat/volatile/dirty"), "unlink dirty");
    must(rmdir("one/work/work/incompat/volatile"), "rmdir volatile");
    must(rmdir("one/work/work/incompat"), "rmdir incompat");
    must(rmdir("one/work/work"), "rmdir work/work");
    must(rmdir("one/work"), "rmdir work");
    must(rmdir("one/upper"), "rmdir upper");
  }
  must(rmdir("one/root"), "rmdir root");
  must(rmdir("one"), "rmdir one");
}

static void run(void) {
  uint64_t at[5];
  at[0] = now();
  make_directories();
  at[1] = now();
  struct clone_args how = {.flags = CLONE_NEWNS};
  const pid_t pid = spawn(&how, child);
  at[2] = now();
  int status = 0;
  must(waitpid(pid, &status, 0), "waitpid");
  at[3] = now();
  remove_directories();
  at[4] = now();
  if (status != 0) die("/inside failed: the root is not what the image says");
  printf("%ju %ju %ju %ju\n", (uintmax_t)(at[2] - at[0]), (uintmax_t)(at[1] - at[0]), (uintmax_t)(at[3] - at[2]),
         (uintmax_t)(at[4] - at[3]));
  fflush(stdout);
}

static void mount_image(const char* directory) {
  char path[4096];
  const int context = (int)must(fsopen("erofs", FSOPEN_CLOEXEC), "fsopen erofs");
  must(fsconfig(context, FSCONFIG_SET_FLAG, "ro", NULL, 0), "ro");
  snprintf(path, sizeof path, "%s/index", directory);
  must(fsconfig(context, FSCONFIG_SET_STRING, "source", path, 0), "source");
  for (int each = 0;; ++each) {
    snprintf(path, sizeof path, "%s/%d", directory, each);
    if (access(path, F_OK) != 0) break;
    must(fsconfig(context, FSCONFIG_SET_STRING, "device", path, 0), "device");
  }
  must(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "mount erofs");
  image = (int)must(fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY), "fsmount erofs");
}

int main(int count, char** words) {
  static const char* const names[] = {"none", "overlay", "erofs", "bind"};
  const char* const wanted = count < 4 ? "" : words[1];
  while ((int)kind < 4 && strcmp(names[kind], wanted) != 0) ++kind;
  if ((int)kind == 4) return fprintf(stderr, "usage: provision_floor none|overlay|erofs|bind DIRECTORY PATH...\n"), 2;
  layers = words + 3;
  layer_count = count - 3;
  if (kind == erofs) mount_image(layers[0]);
  must(mkdir(words[2], 0755), words[2]);
  must(chdir(words[2]), words[2]);
  for (char line[64]; fgets(line, sizeof line, stdin); run()) {
    line[strcspn(line, "\n")] = 0;
    char* const space = strchr(line, ' ');
    argument = space ? space + 1 : NULL;
  }
  must(chdir(".."), "chdir ..");
  must(rmdir(words[2]), "rmdir");
  return 0;
}
