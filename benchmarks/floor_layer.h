// SPDX-License-Identifier: Apache-2.0
// Part of the floors: an uncompressed tar read by hand, and its entries written by *at() calls. One pass, no check.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "floor_stream.h"

// --- tar -----------------------------------------------------------------------------------------------------------

enum { most_xattrs = 8 };
static const uint64_t unknown = UINT64_MAX;  // until a header says

struct entry {
  char path[4096], link[4096];
  char type;
  unsigned mode, uid, gid, major, minor;
  uint64_t size;
  struct timespec modified;
  size_t xattr_count;
  struct {
    char name[256], value[4096];
    size_t size;
  } xattrs[most_xattrs];
};

static uint64_t number(const uint8_t* field, size_t size) {
  uint64_t value = 0;
  if (field[0] & 0x80) {  // base 256
    for (size_t at = 1; at < size; ++at) value = value << 8 | field[at];
    return value;
  }
  for (size_t at = 0; at < size && field[at]; ++at)
    if (field[at] >= '0' && field[at] <= '7') value = value * 8 + (uint64_t)(field[at] - '0');
  return value;
}

static void copy_text(char* to, const uint8_t* from, size_t size) {
  if (size > 4095) errno = ENAMETOOLONG, die("name");
  memcpy(to, from, size);
  to[size] = 0;
}

static struct timespec parse_time(const char* text) {
  char* rest = NULL;
  struct timespec at = {strtol(text, &rest, 10), 0};
  long unit = 100000000;
  if (*rest == '.')
    while (*++rest >= '0' && *rest <= '9') at.tv_nsec += (*rest - '0') * unit, unit /= 10;
  return at;
}

static void take_pax_record(struct entry* e, const char* key, const char* value, size_t size) {
  if (strcmp(key, "path") == 0) copy_text(e->path, (const uint8_t*)value, size);
  if (strcmp(key, "linkpath") == 0) copy_text(e->link, (const uint8_t*)value, size);
  if (strcmp(key, "size") == 0) e->size = strtoull(value, NULL, 10);
  if (strcmp(key, "mtime") == 0) e->modified = parse_time(value);
  if (strncmp(key, "SCHILY.xattr.", 13) == 0 && e->xattr_count < most_xattrs && size <= 4096) {
    snprintf(e->xattrs[e->xattr_count].name, 256, "%s", key + 13);
    memcpy(e->xattrs[e->xattr_count].value, value, size);
    e->xattrs[e->xattr_count++].size = size;
  }
}

static void take_pax(struct entry* e, char* text, size_t size) {
  for (char* at = text; at < text + size;) {
    char* key = NULL;
    const size_t length = strtoul(at, &key, 10);
    char* const equals = strchr(key, '=');
    if (length == 0 || equals == NULL) errno = EBADMSG, die("pax");
    at[length - 1] = *equals = 0;
    take_pax_record(e, key + 1, equals + 1, (size_t)(at + length - 1 - (equals + 1)));
    at += length;
  }
}

// The next entry with what its extension headers say; false at the end.
static bool next_entry(struct stream* s, struct entry* e) {
  e->path[0] = e->link[0] = 0;
  e->size = unknown;
  e->modified.tv_nsec = -1;
  e->xattr_count = 0;
  for (;;) {
    const uint8_t* const h = take(s, 512);
    if (h == NULL || h[0] == 0) return false;
    const uint64_t size = number(h + 124, 12);
    const char type = (char)h[156];
    if (type == 'x' || type == 'L' || type == 'K' || type == 'g') {
      char* const text = (char*)take(s, (size + 511) / 512 * 512);
      if (text == NULL) errno = EPIPE, die("tar");
      if (type == 'x') take_pax(e, text, size);
      if (type == 'L') copy_text(e->path, (uint8_t*)text, strnlen(text, size));
      if (type == 'K') copy_text(e->link, (uint8_t*)text, strnlen(text, size));
      continue;
    }
    if (type == 'S') errno = ENOSYS, die("sparse file");
    const int prefix = memcmp(h + 257, "ustar\0", 6) == 0 && h[345] ? (int)strnlen((const char*)h + 345, 155) : 0;
    if (e->path[0] == 0)
      snprintf(e->path, sizeof e->path, "%.*s%s%.100s", prefix, h + 345, prefix ? "/" : "", (const char*)h);
    if (e->link[0] == 0) copy_text(e->link, h + 157, strnlen((const char*)h + 157, 100));
    e->type = type;
    e->mode = (unsigned)number(h + 100, 8) & 07777;
    e->uid = (unsigned)number(h + 108, 8);
    e->gid = (unsigned)number(h + 116, 8);
    if (e->size == unknown) e->size = size;
    if (e->modified.tv_nsec < 0) e->modified = (struct timespec){(time_t)number(h + 136, 12), 0};
    e->major = (unsigned)number(h + 329, 8);
    e->minor = (unsigned)number(h + 337, 8);
    return true;
  }
}

// --- writing -------------------------------------------------------------------------------------------------------

struct late_time {
  struct late_time* next;
  struct timespec modified;
  char path[];
};
struct tree {
  int root, parent;
  char parent_path[4096];
  struct late_time* directories;  // their times come last: what is made in them changes these
};

static int open_below(int root, const char* path) {
  return openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void make_parents(int root, char* path) {
  for (char* slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    if (mkdirat(root, path, 0755) != 0 && errno != EEXIST) die(path);
    *slash = '/';
  }
  if (mkdirat(root, path, 0755) != 0 && errno != EEXIST) die(path);
}

// Enters the directory of `path` and returns the last part's name; entries mostly follow their neighbours.
static const char* enter_parent(struct tree* t, char* path) {
  char* const slash = strrchr(path, '/');
  const char* const parent = slash ? path : ".";
  if (slash) *slash = 0;
  if (strcmp(parent, t->parent_path) != 0) {
    if (t->parent >= 0) close(t->parent);
    t->parent = open_below(t->root, parent);
    if (t->parent < 0 && errno == ENOENT) {
      make_parents(t->root, path);
      t->parent = open_below(t->root, parent);
    }
    must(t->parent, parent);
    strcpy(t->parent_path, parent);
  }
  if (slash) *slash = '/';
  return slash ? slash + 1 : path;
}

static void set_xattrs(const struct entry* e, int file) {
  for (size_t at = 0; at < e->xattr_count; ++at)
    must(fsetxattr(file, e->xattrs[at].name, e->xattrs[at].value, e->xattrs[at].size, 0), e->xattrs[at].name);
}

static void write_file(struct stream* s, struct tree* t, const struct entry* e, const char* name) {
  int file = openat(t->parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0 && errno == EEXIST && unlinkat(t->parent, name, 0) == 0)
    file = openat(t->parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  must(file, e->path);
  for (uint64_t left = e->size; left > 0;) {
    const uint8_t* bytes;
    const size_t count = take_some(s, left < output_size ? left : output_size, &bytes);
    for (size_t done = 0; done < count;) done += (size_t)must((int)write(file, bytes + done, count - done), e->path);
    left -= count;
  }
  if (e->size % 512) take(s, 512 - e->size % 512);
  if (e->uid | e->gid) must(fchown(file, e->uid, e->gid), e->path);
  must(fchmod(file, e->mode), e->path);
  set_xattrs(e, file);
  must(futimens(file, (struct timespec[]){e->modified, e->modified}), e->path);
  close(file);
}

static void make_directory(struct tree* t, const struct entry* e, const char* name) {
  if (mkdirat(t->parent, name, 0700) != 0 && errno != EEXIST) die(e->path);
  const int directory = must(open_below(t->parent, name), e->path);
  if (e->uid | e->gid) must(fchown(directory, e->uid, e->gid), e->path);
  must(fchmod(directory, e->mode), e->path);
  set_xattrs(e, directory);
  close(directory);
  struct late_time* const late = malloc(sizeof *late + strlen(e->path) + 1);
  *late = (struct late_time){.next = t->directories, .modified = e->modified};
  strcpy(late->path, e->path);
  t->directories = late;
}

static void make_node(struct tree* t, const struct entry* e, const char* name) {
  const mode_t type = e->type == '3' ? S_IFCHR : e->type == '4' ? S_IFBLK : S_IFIFO;
  if (e->type == '2') {
    must(symlinkat(e->link, t->parent, name), e->path);
  } else {
    must(mknodat(t->parent, name, type | 0600, makedev(e->major, e->minor)), e->path);
    must(fchmodat(t->parent, name, e->mode, 0), e->path);
  }
  if (e->uid | e->gid) must(fchownat(t->parent, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW), e->path);
  must(utimensat(t->parent, name, (struct timespec[]){e->modified, e->modified}, AT_SYMLINK_NOFOLLOW), e->path);
}

static void make_link(struct tree* t, const struct entry* e, const char* name) {
  const char* const target = strncmp(e->link, "./", 2) == 0 ? e->link + 2 : e->link;
  must(linkat(t->root, target, t->parent, name, 0), e->path);
}

static void make_whiteout(struct tree* t, const struct entry* e, const char* name) {
  if (strcmp(name, ".wh..opq") == 0) {
    must(fsetxattr(t->parent, "trusted.overlay.opaque", "y", 1, 0), e->path);
  } else {
    must(mknodat(t->parent, name + 4, S_IFCHR, 0), e->path);
  }
}

static void apply(struct stream* s, struct tree* t, struct entry* e) {
  char* const path = strncmp(e->path, "./", 2) == 0 ? e->path + 2 : e->path;
  memmove(e->path, path, strlen(path) + 1);
  for (size_t length = strlen(e->path); length > 0 && e->path[length - 1] == '/';) e->path[--length] = 0;
  if (e->path[0] == 0) strcpy(e->path, ".");
  const char* const name = enter_parent(t, e->path);
  const bool is_node = e->type == '2' || e->type == '3' || e->type == '4' || e->type == '6';
  if (strncmp(name, ".wh.", 4) == 0) {
    make_whiteout(t, e, name);
  } else if (e->type == '1') {
    make_link(t, e, name);
  } else if (e->type == '5') {
    make_directory(t, e, name);
  } else if (is_node) {
    make_node(t, e, name);
  } else {
    write_file(s, t, e, name);
  }
}

// --- layers --------------------------------------------------------------------------------------------------------

// Unpacks what `s` was opened on into the new directory `which` below `root`; closing `s` is left to the caller.
static void unpack(struct stream* s, struct entry* e, int root, int which) {
  char name[16];
  snprintf(name, sizeof name, "%d", which);
  must(mkdirat(root, name, 0755), name);
  struct tree tree = {.root = must(open_below(root, name), name), .parent = -1};
  while (next_entry(s, e)) apply(s, &tree, e);
  if (tree.parent >= 0) close(tree.parent);
  for (struct late_time* each = tree.directories; each; each = each->next)
    must(utimensat(tree.root, each->path, (struct timespec[]){each->modified, each->modified}, 0), each->path);
  close(tree.root);
}

// Calls `work(all)` on as many threads as `text` says, this one included.
static void on_threads(const char* text, void* (*work)(void*), void* all) {
  pthread_t threads[64];
  int helpers = atoi(text) - 1;
  if (helpers > 63) helpers = 63;
  for (int at = 0; at < helpers; ++at) pthread_create(&threads[at], NULL, work, all);
  work(all);
  for (int at = 0; at < helpers; ++at) pthread_join(threads[at], NULL);
}
