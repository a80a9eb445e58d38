// SPDX-License-Identifier: Apache-2.0
// Part of unpack_floor: a gzip blob as a stream of its uncompressed bytes, with the SHA-256 of both.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void die(const char* what) {
  fprintf(stderr, "unpack_floor: %s: %s\n", what, strerror(errno));
  exit(1);
}
static int must(int result, const char* what) {
  if (result < 0) die(what);
  return result;
}

enum { input_size = 256 << 10, output_size = 1 << 20 };

struct stream {
  int file;
  EVP_MD_CTX *packed, *plain;
  struct inflate_state inflate;
  bool blob_ended;
  uint8_t input[input_size], output[output_size];
  size_t at, end;  // what of `output` is not yet taken
};

static void open_stream(struct stream* s, const char* path) {
  s->file = must(open(path, O_RDONLY | O_CLOEXEC), path);
  s->packed = EVP_MD_CTX_new();
  s->plain = EVP_MD_CTX_new();
  EVP_DigestInit_ex(s->packed, EVP_sha256(), NULL);
  EVP_DigestInit_ex(s->plain, EVP_sha256(), NULL);
  isal_inflate_init(&s->inflate);
  s->inflate.crc_flag = ISAL_GZIP;
  s->blob_ended = false;
  s->at = s->end = 0;
}

static void read_blob(struct stream* s) {
  const int got = must((int)read(s->file, s->input, input_size), "read blob");
  EVP_DigestUpdate(s->packed, s->input, (size_t)got);
  s->inflate.next_in = s->input;
  s->inflate.avail_in = (uint32_t)got;
  s->blob_ended = got == 0;
}

// Moves what is left to the front and adds to it; false at the end.
static bool fill(struct stream* s) {
  const size_t left = s->end - s->at;
  memmove(s->output, s->output + s->at, left);
  s->at = 0;
  s->end = left;
  while (s->end == left) {
    if (s->inflate.block_state == ISAL_BLOCK_FINISH) return false;
    if (s->inflate.avail_in == 0) read_blob(s);
    if (s->blob_ended) return errno = EPIPE, die("blob"), false;
    s->inflate.next_out = s->output + left;
    s->inflate.avail_out = (uint32_t)(output_size - left);
    if (isal_inflate(&s->inflate) != ISAL_DECOMP_OK) errno = EBADMSG, die("inflate");
    s->end = output_size - s->inflate.avail_out;
  }
  EVP_DigestUpdate(s->plain, s->output + left, s->end - left);
  return true;
}

// `count` bytes in a row, taken; NULL at the end.
static const uint8_t* take(struct stream* s, size_t count) {
  while (s->end - s->at < count)
    if (!fill(s)) return NULL;
  s->at += count;
  return s->output + s->at - count;
}

// At most `most` bytes, at least one, taken.
static size_t take_some(struct stream* s, size_t most, const uint8_t** bytes) {
  if (s->at == s->end && !fill(s)) errno = EPIPE, die("tar");
  const size_t count = s->end - s->at < most ? s->end - s->at : most;
  *bytes = s->output + s->at;
  s->at += count;
  return count;
}

static void check(EVP_MD_CTX* hash, const char* wanted, const char* what) {
  uint8_t digest[32];
  char text[65];
  EVP_DigestFinal_ex(hash, digest, NULL);
  EVP_MD_CTX_free(hash);
  for (int at = 0; at < 32; ++at) snprintf(text + 2 * at, 3, "%02x", digest[at]);
  if (strcmp(text, wanted) != 0) errno = EBADMSG, die(what);
}

static void close_stream(struct stream* s, const char* packed, const char* plain) {
  do s->at = s->end;  // what follows the tar's end is part of its digest
  while (fill(s));
  do read_blob(s);
  while (!s->blob_ended);
  close(s->file);
  check(s->packed, packed, "blob digest");
  check(s->plain, plain, "diff ID");
}
