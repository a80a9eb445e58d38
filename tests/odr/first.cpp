// SPDX-License-Identifier: Apache-2.0
// With second.cpp: every public header twice in one program, so that a definition that is not inline does not link.
#include <mortise/mortise.hpp>

std::string_view version_seen_by_second();

int main() { return version_seen_by_second() == mortise::version ? 0 : 1; }
