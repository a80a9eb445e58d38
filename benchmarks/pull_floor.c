// SPDX-License-Identifier: Apache-2.0
// The floor of benchmarks/pull: layers from a registry to files by hand, in C. As unpack_floor, from sockets: plain
// HTTP on 127.0.0.1, one connection a thread, and the registry is asked for nothing but the layers.
//
//   pull_floor [--keep] PORT THREADS DIRECTORY REPOSITORY {SHA256 DIFF-SHA256}...
//
// The layers of an image, to DIRECTORY/0, 1, ...; with --keep their blobs too, to DIRECTORY/SHA256, each synced once.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "floor_layer.h"

struct job {
  const char* repository;
  char** layers;  // SHA256 DIFF-SHA256 each
  int count, root;
  uint16_t port;
  bool keep;
  atomic_int next;
};

static int connect_to(uint16_t port) {
  const struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  const int server = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  must(connect(server, (const struct sockaddr*)&to, sizeof to), "connect");
  return server;
}

// Reads an answer's head and nothing of its body, whose size it returns.
static uint64_t read_head(int server) {
  char head[4096];
  for (char* end = NULL;;) {
    const size_t got = (size_t)must64(recv(server, head, sizeof head - 1, MSG_PEEK), "read head");
    head[got] = 0;
    end = strstr(head, "\r\n\r\n");
    if (end == NULL && got > 0 && got < sizeof head - 1) continue;
    if (end == NULL) errno = EBADMSG, die("read head");
    end[2] = 0;
    must64(recv(server, head, (size_t)(end + 4 - head), MSG_WAITALL), "read head");
    const char* const size = strcasestr(head, "\r\ncontent-length:");
    if (strncmp(head, "HTTP/1.1 200 ", 13) != 0 || size == NULL) errno = ENOENT, die("get blob");
    return strtoull(size + 17, NULL, 10);
  }
}

static uint64_t ask_for_blob(int server, const struct job* all, const char* sha256) {
  char request[1024];
  const int size =
      snprintf(request, sizeof request, "GET /v2/%s/blobs/sha256:%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n",
               all->repository, sha256, all->port);
  must64(send(server, request, (size_t)size, MSG_NOSIGNAL), "ask for blob");
  return read_head(server);
}

static void keep(struct stream* s) {
  if (s->copy < 0) return;
  must(fdatasync(s->copy), "sync blob");
  close(s->copy);
}

static void* work(void* argument) {
  struct job* const all = argument;
  struct stream* const s = new_stream();
  struct entry* const e = malloc(sizeof *e);
  const int server = connect_to(all->port);
  for (int which; (which = atomic_fetch_add(&all->next, 1)) < all->count;) {
    char** const words = all->layers + 2 * which;
    if (all->keep) s->copy = must(openat(all->root, words[0], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), words[0]);
    open_stream(s, server, ask_for_blob(server, all, words[0]));
    unpack(s, e, all->root, which);
    close_stream(s, words[0], words[1]);
    keep(s);
  }
  close(server);
  return NULL;
}

int main(int count, char** words) {
  const int first = count > 1 && strcmp(words[1], "--keep") == 0 ? 2 : 1;
  if (count - first < 6 || (count - first) % 2 != 0) {
    fprintf(stderr, "usage: pull_floor [--keep] PORT THREADS DIRECTORY REPOSITORY {SHA256 DIFF-SHA256}...\n");
    return 2;
  }
  words += first;
  umask(0);
  struct job all = {.repository = words[3], .layers = words + 4, .count = (count - first - 4) / 2, .keep = first == 2};
  all.port = (uint16_t)atoi(words[0]);
  all.root = must(open(words[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC), words[2]);
  on_threads(words[1], work, &all);
  return 0;
}
