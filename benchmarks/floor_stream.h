// SPDX-License-Identifier: Apache-2.0
// Part of the floors: a gzip or zstd blob as a stream of its uncompressed bytes, with the SHA-256 of both.
#pragma once

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

static _Noreturn void die(const char* what) {
  fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
  exit(1);
}
static int64_t must64(int64_t result, const char* what) {
  if (result < 0) die(what);
  return result;
}
static int must(int result, const char* what) { return (int)must64(result, what); }

enum { input_size = 256 << 10, output_size = 1 << 20 };

struct stream {
  int file;       // a file, or a socket on which the blob arrives
  uint64_t left;  // of the blob, not yet read from there
  int copy;       // a file that gets the blob too, or -1
  EVP_MD_CTX *packed, *plain;
  bool is_zstd, ended;
  struct inflate_state inflate;
  ZSTD_DCtx* zstd;
  uint8_t *next, *input_end;  // what of `input` is not yet inflated
  uint8_t input[input_size], output[output_size];
  size_t at, end;  // what of `output` is not yet taken
};

static struct stream* new_stream(void) {
  struct stream* const s = malloc(sizeof *s);
  s->zstd = ZSTD_createDCtx();
  s->copy = -1;
  return s;
}

// Hashes what was read into `input`.
static void got_input(struct stream* s, size_t count) {
  EVP_DigestUpdate(s->packed, s->input, count);
  for (size_t done = 0; s->copy >= 0 && done < count;)
    done += (size_t)must64(write(s->copy, s->input + done, count - done), "keep blob");
  s->next = s->input;
  s->input_end = s->input + count;
  s->left -= count;
}

static void read_blob(struct stream* s) {
  const size_t most = s->left < input_size ? s->left : input_size;
  const size_t got = (size_t)must64(read(s->file, s->input, most), "read blob");
  if (got == 0) errno = EPIPE, die("read blob");
  got_input(s, got);
}

// Begins a blob of `size` bytes that `file` stands at.
static void open_stream(struct stream* s, int file, uint64_t size) {
  s->file = file;
  s->left = size;
  s->packed = EVP_MD_CTX_new();
  s->plain = EVP_MD_CTX_new();
  EVP_DigestInit_ex(s->packed, EVP_sha256(), NULL);
  EVP_DigestInit_ex(s->plain, EVP_sha256(), NULL);
  s->at = s->end = 0;
  s->ended = false;
  read_blob(s);
  s->is_zstd = s->input[0] == 0x28;
  isal_inflate_init(&s->inflate);
  s->inflate.crc_flag = ISAL_GZIP;
  ZSTD_DCtx_reset(s->zstd, ZSTD_reset_session_only);
}

static size_t inflate_zstd(struct stream* s, uint8_t* to, size_t room) {
  ZSTD_inBuffer in = {s->next, (size_t)(s->input_end - s->next), 0};
  ZSTD_outBuffer out = {to, room, 0};
  const size_t code = ZSTD_decompressStream(s->zstd, &out, &in);
  if (ZSTD_isError(code)) errno = EBADMSG, die("zstd");
  s->next += in.pos;
  s->ended = code == 0;
  return out.pos;
}

static size_t inflate_gzip(struct stream* s, uint8_t* to, size_t room) {
  s->inflate.next_in = s->next;
  s->inflate.avail_in = (uint32_t)(s->input_end - s->next);
  s->inflate.next_out = to;
  s->inflate.avail_out = (uint32_t)room;
  if (isal_inflate(&s->inflate) != ISAL_DECOMP_OK) errno = EBADMSG, die("inflate");
  s->next = s->inflate.next_in;
  s->ended = s->inflate.block_state == ISAL_BLOCK_FINISH;
  return room - s->inflate.avail_out;
}

// Moves what is left to the front and adds to it; false at the end.
static bool fill(struct stream* s) {
  const size_t left = s->end - s->at;
  memmove(s->output, s->output + s->at, left);
  s->at = 0;
  s->end = left;
  while (s->end == left) {
    if (s->ended) return false;
    if (s->next == s->input_end && s->left > 0) read_blob(s);
    s->end += (s->is_zstd ? inflate_zstd : inflate_gzip)(s, s->output + left, output_size - left);
    if (s->end == left && !s->ended && s->next == s->input_end && s->left == 0) errno = EPIPE, die("blob");
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

// Reads the rest and checks both digests; `file` stays open.
static void close_stream(struct stream* s, const char* packed, const char* plain) {
  do s->at = s->end;  // what follows the tar's end is part of its digest
  while (fill(s));
  while (s->left > 0) read_blob(s);
  check(s->packed, packed, "blob digest");
  check(s->plain, plain, "diff ID");
}
