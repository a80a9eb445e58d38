// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A store with our two local sources, in a directory of its own, and looks at what it made.

#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <image/layout_builder.hpp>
#include <mortise/image/docker_archive.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>
#include <mortise/model/layer.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <support/temporary.hpp>
#include <vector>

namespace support {

using local_store = mortise::image::store<mortise::image::oci_layout, mortise::image::docker_archive>;
using mortise::image::provide_options;

/// Opens the store and provides; one type of listener, so that the engine is compiled once for each test.
inline absl::StatusOr<mortise::model::image> provide(const std::string& directory, std::string_view location,
                                                     const provide_options& options = {},
                                                     std::vector<mortise::image::progress>* heard = nullptr) {
  MORTISE_ASSIGN_OR_RETURN(local_store opened, local_store::open(directory));
  const auto hear = [heard](const mortise::image::progress& event) {
    if (heard != nullptr) heard->push_back(event);
  };
  return opened.provide<mortise::model::overlay_layers>(location, options, hear);
}

class store_fixture {
 public:
  support::temporary_directory place;
  std::string directory = place / "store";
  support::layout_builder layout{place / "oci"};
  const std::string location = "oci:" + layout.path() + ":latest";

  /// What a provide of the layout's image says: "" where it worked.
  std::string provide(const provide_options& options = {}, std::vector<mortise::image::progress>* heard = nullptr) {
    auto found = support::provide(directory, location, options, heard);
    if (!found.ok()) return std::string(mortise::message(found.status()));
    image = *std::move(found);
    return {};
  }

  /// Nothing of unfinished work.
  [[nodiscard]] bool tidy() const {
    return names_in(directory + "/staging").empty() && names_in(directory + "/locks").empty();
  }
  /// How many unpacked layers there are, under their diff IDs and under their chain IDs.
  [[nodiscard]] std::size_t by_diff_id() const { return names_in(directory + "/layers/overlay").size(); }
  [[nodiscard]] std::size_t by_chain_id() const { return names_in(directory + "/chains/overlay").size(); }

  std::optional<mortise::model::image> image;
};

/// What overlayfs makes of layers, mounted read-only as long as it lives. Needs root.
class merged_layers {
 public:
  explicit merged_layers(const mortise::model::layers& layers) {
    std::string options = "lowerdir=";
    for (auto each = layers.rbegin(); each != layers.rend(); ++each) {
      const std::string link = place_ / std::to_string(each - layers.rbegin());  // short: options fit into one page
      if (::symlink(each->directory.c_str(), link.c_str()) != 0) throw std::runtime_error("symlink");
      options += link + ':';
    }
    for (const char* const name : {"empty", "merged"}) ::mkdir((place_ / name).c_str(), 0755);
    options += place_ / "empty";  // overlayfs wants two where there is no upper
    if (::mount("overlay", path().c_str(), "overlay", MS_RDONLY, options.c_str()) != 0)
      throw std::runtime_error(std::string("mount overlay: ") + std::strerror(errno));
  }
  merged_layers(const merged_layers&) = delete;
  merged_layers& operator=(const merged_layers&) = delete;
  ~merged_layers() { ::umount2(path().c_str(), MNT_DETACH); }

  [[nodiscard]] std::string path() const { return place_ / "merged"; }

 private:
  support::temporary_directory place_;
};

}  // namespace support
