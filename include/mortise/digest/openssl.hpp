// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// SHA-256 and SHA-512 by OpenSSL, which uses the processor's SHA instructions where there are some.
/// Needs: libcrypto.

#include <openssl/evp.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <mortise/digest/hasher.hpp>
#include <mortise/model/digest.hpp>
#include <span>
#include <string_view>

namespace mortise::digest {

/// Effects: none outside the object.
/// Fails with: nothing. The library's only failure here is memory that runs out (or a build of it without SHA-2),
/// and a hash that pretends to have worked would be worse than the end of the process.
class openssl {
 public:
  explicit openssl(model::digest_algorithm algorithm = model::digest_algorithm::sha256)
      : algorithm_(algorithm), context_(::EVP_MD_CTX_new()) {
    const EVP_MD* const kind = algorithm == model::digest_algorithm::sha256 ? ::EVP_sha256() : ::EVP_sha512();
    insist(context_ != nullptr && ::EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1);
  }

  void update(std::span<const std::byte> bytes) {
    insist(::EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
  }

  model::digest finish() {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    insist(::EVP_DigestFinal_ex(context_.get(), raw, &size) == 1);
    return model::digest::from_bytes(algorithm_, {reinterpret_cast<const char*>(raw), size});
  }

 private:
  struct free_context {
    void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
  };

  static void insist(bool worked) {
    if (!worked) std::abort();
  }

  model::digest_algorithm algorithm_;
  std::unique_ptr<EVP_MD_CTX, free_context> context_;
};

/// The SHA-256 digest of a text in memory.
inline model::digest of(std::string_view text) {
  openssl hash;
  hash.update(std::as_bytes(std::span(text)));
  return hash.finish();
}

static_assert(hasher<openssl>);

}  // namespace mortise::digest
