// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The version of these headers, as meson.build says it too.

#include <string_view>

namespace mortise {

inline constexpr int version_major = 0;
inline constexpr int version_minor = 1;
inline constexpr int version_patch = 0;
inline constexpr std::string_view version = "0.1.0";

}  // namespace mortise
