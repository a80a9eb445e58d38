// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// gzip by the best library that this machine's headers offer.
/// Needs: libisal, or zlib where its headers are missing.

#if __has_include(<isa-l/igzip_lib.h>)
#include <mortise/archive/isal.hpp>
namespace mortise::archive {
using gzip_reader = isal_reader;
}  // namespace mortise::archive
#else
#include <mortise/archive/zlib.hpp>
namespace mortise::archive {
using gzip_reader = zlib_reader;
}  // namespace mortise::archive
#endif
