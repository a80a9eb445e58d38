// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What nearly every test includes, precompiled with clang. With g++ it is not used: there it would weigh 100 MB
/// for each suite and gain little, and each test's first include stays proven to stand alone.

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/cord.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
