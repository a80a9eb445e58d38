// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/digest.hpp>

// A digest comes out of its validating constructor only.
absl::StatusOr<mortise::model::digest> from_text(std::string_view text) { return mortise::model::digest::parse(text); }
