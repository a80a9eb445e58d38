// SPDX-License-Identifier: Apache-2.0
#include <mortise/mortise.hpp>

std::string_view version_seen_by_second();
std::string_view version_seen_by_second() { return mortise::version; }
