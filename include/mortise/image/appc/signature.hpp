// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whether an ACI's signature is asked for: a policy of the source. The one that asks is in image/appc/gpgv.hpp.

#include <concepts>
#include <functional>
#include <mortise/base/status.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/model/ac_name.hpp>
#include <string>

namespace mortise::image::appc {

/// Gives the text of an image's detached signature, from beside the image. Called only by those who want it.
using signature_text = std::function<absl::StatusOr<std::string>()>;

/// Looks at an ACI as it was transferred, a whole file, before anything of it is used. `name` is the image's, which the
/// ACI's manifest will have to state.
/// Fails with PERMISSION_DENIED for an image that must not be used.
template <class Check>
concept signature_check =
    std::copy_constructible<Check> &&
    requires(const Check& check, const model::ac_identifier& name, const file_section& aci, const signature_text& ask) {
      { check(name, aci, ask) } -> std::same_as<absl::Status>;
      /// Whether there is anything that it would refuse: then images are looked at each time that they are used.
      { check.is_needed() } -> std::same_as<bool>;
    };

/// Asks for no signature: what the image ID does not pin is trusted as its transport is.
struct no_signature {
  [[nodiscard]] bool is_needed() const { return false; }
  absl::Status operator()(const model::ac_identifier& /*name*/, const file_section& /*aci*/,
                          const signature_text& /*ask*/) const {
    return absl::OkStatus();
  }
};

static_assert(signature_check<no_signature>);

}  // namespace mortise::image::appc
