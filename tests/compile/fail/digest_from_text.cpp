// SPDX-License-Identifier: Apache-2.0
// expect: no matching
// expect: mortise::model::digest
#include <mortise/model/digest.hpp>

mortise::model::digest from_text(std::string_view text) { return mortise::model::digest(text); }
