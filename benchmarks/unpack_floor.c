// SPDX-License-Identifier: Apache-2.0
// The floor of benchmarks/unpack: layers to files by hand, in C: ISA-L (or libzstd) inflates, OpenSSL hashes what is
// read and what comes out, tar is read here, and files are written by *at() calls. One pass, no check but the digests.
//
//   unpack_floor THREADS DIRECTORY {BLOB SHA256 DIFF-SHA256}...    one layer of an image each, to DIRECTORY/0, 1, ...
#define _GNU_SOURCE
#include <stdatomic.h>

#include "floor_layer.h"

struct job {
  char** layers;  // BLOB SHA256 DIFF-SHA256 each
  int count, root;
  atomic_int next;
};

static void* work(void* argument) {
  struct job* const all = argument;
  struct stream* const s = new_stream();
  struct entry* const e = malloc(sizeof *e);
  for (int which; (which = atomic_fetch_add(&all->next, 1)) < all->count;) {
    char** const words = all->layers + 3 * which;
    const int blob = must(open(words[0], O_RDONLY | O_CLOEXEC), words[0]);
    struct stat about;
    must(fstat(blob, &about), words[0]);
    open_stream(s, blob, (uint64_t)about.st_size);
    unpack(s, e, all->root, which);
    close_stream(s, words[1], words[2]);
    close(blob);
  }
  return NULL;
}

int main(int count, char** words) {
  if (count < 6 || count % 3 != 0) {
    fprintf(stderr, "usage: unpack_floor THREADS DIRECTORY {BLOB SHA256 DIFF-SHA256}...\n");
    return 2;
  }
  umask(0);
  struct job all = {.layers = words + 3, .count = count / 3 - 1};
  all.root = must(open(words[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC), words[2]);
  on_threads(words[1], work, &all);
  return 0;
}
