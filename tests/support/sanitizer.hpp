// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Which sanitizer the tests are built with: it brings libraries and threads of its own.

namespace support {

#if defined(__has_feature)
#define MORTISE_TESTS_SANITIZER(name) __has_feature(name)
#else
#define MORTISE_TESTS_SANITIZER(name) 0
#endif

inline constexpr bool address_sanitizer = MORTISE_TESTS_SANITIZER(address_sanitizer);
inline constexpr bool thread_sanitizer = MORTISE_TESTS_SANITIZER(thread_sanitizer);

#undef MORTISE_TESTS_SANITIZER

}  // namespace support
