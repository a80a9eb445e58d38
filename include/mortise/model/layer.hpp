// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An unpacked layer, and the forms in which layers lie on disk. Stores make them, rootfs backends consume
/// them; neither knows the other.

#include <mortise/model/digest.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::model {

/// A layer as overlayfs reads it: a directory in which a deleted name is a character device 0:0, and a
/// directory that hides its lower namesake carries the attribute `opaque_xattr` with the value "y"
/// (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
/// A backend says `using layer_format = model::overlay_layers;` and the store unpacks so.
struct overlay_layers {
  static constexpr std::string_view name = "overlay";
  static constexpr const char* opaque_xattr = "trusted.overlay.opaque";
  /// Whether owners, devices and security attributes are kept as the image has them.
  static constexpr bool keeps_owners = true;
};

/// The same for callers without privileges: attributes in the user namespace, everything owned by the
/// caller, device nodes left out (they cannot be made).
struct unprivileged_overlay_layers {
  static constexpr std::string_view name = "overlay-user";
  static constexpr const char* opaque_xattr = "user.overlay.opaque";
  static constexpr bool keeps_owners = false;
};

/// A layer as aufs reads it, which is also how Docker's and OCI's tars spell it: a deleted NAME is an empty file
/// ".wh.NAME", and a directory that hides its lower namesake holds a file ".wh..wh..opq" (aufs(5), OCI image-spec
/// layer.md, "Whiteouts").
struct aufs_layers {
  static constexpr std::string_view name = "aufs";
  static constexpr bool keeps_owners = true;
  static constexpr bool marks_by_names = true;
  static constexpr std::string_view whiteout_prefix = ".wh.";
  static constexpr std::string_view opaque_name = ".wh..wh..opq";
};

/// A form in which names tell what is deleted, and which therefore cannot hold such names themselves.
template <class Format>
concept marked_by_names = requires { requires Format::marks_by_names; };

/// A whole image as one layer that is never unpacked. Its directory holds `index`, an EROFS image of all layers merged
/// (Documentation/filesystems/erofs.rst), and the uncompressed layer tars `0`, `1`, … in which the files' data lies:
/// its extra devices, in the order of its device slots.
struct erofs_layers {
  static constexpr std::string_view name = "erofs";
  static constexpr bool keeps_owners = true;
  static constexpr bool is_packed = true;
};

/// A form in which an image is one layer, whose files are never made.
template <class Format>
concept packed_layers = requires { requires Format::is_packed; };

/// One of several forms: a backend says which, once it knows what the machine can do (rootfs::first_supported).
template <class... Formats>
struct one_of_layers {
  static constexpr bool keeps_owners = (Formats::keeps_owners || ...);
};

/// One layer.
struct layer {
  std::optional<digest> diff_id;  ///< of the uncompressed tar it was made from, if it was
  std::string directory;          ///< where it lies, absolute
  /// Whether its own root hides all layers below, where the store knows; else the backend looks.
  std::optional<bool> opaque_root = {};
};

/// Bottom first, as in a manifest.
using layers = std::vector<layer>;

}  // namespace mortise::model
