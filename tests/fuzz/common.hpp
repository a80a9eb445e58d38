// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What all targets include, precompiled.

#include <fuzz/target.hpp>
#include <mortise/image/json.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
